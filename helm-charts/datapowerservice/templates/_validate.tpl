{{/*
What the schema cannot say. Each message starts with the path of the field. The webhooks refuse most of this earlier;
these checks hold when they are not installed, and for `helm template`.
*/}}

{{- define "datapowerservice.validate" -}}
{{- if not (.Values.license).accept -}}
{{- fail "spec.license.accept: must be true, which accepts the licence named in spec.license.license" -}}
{{- end -}}
{{- include "datapowerservice.validate.users" . -}}
{{- include "datapowerservice.validate.domains" . -}}
{{- include "datapowerservice.validate.storage" . -}}
{{- include "datapowerservice.validate.scaling" . -}}
{{- end -}}

{{/* Fails when two entries of a list have one key. Arguments (dict): path, list, key. */}}
{{- define "datapowerservice.validate.unique" -}}
{{- $seen := dict -}}
{{- range $i, $entry := .list -}}
{{- $value := get $entry $.key -}}
{{- if hasKey $seen $value -}}
{{- fail (printf "%s[%d].%s: %q is used twice" $.path $i $.key $value) -}}
{{- end -}}
{{- $_ := set $seen $value true -}}
{{- end -}}
{{- end -}}

{{/* Fails on a name that the gateway's command language cannot hold. Arguments (dict): path, name. */}}
{{- define "datapowerservice.validate.name" -}}
{{- if or (not .name) (regexMatch "[[:cntrl:]]" .name) -}}
{{- fail (printf "%s: must not be empty or contain control characters" .path) -}}
{{- end -}}
{{- end -}}

{{- define "datapowerservice.validate.users" -}}
{{- $users := (include "datapowerservice.users" . | fromJson).users -}}
{{- include "datapowerservice.validate.unique" (dict "path" "spec.users" "list" $users "key" "name") -}}
{{- range $i, $user := $users -}}
{{- $path := printf "spec.users[%d]" $i -}}
{{- include "datapowerservice.validate.name" (dict "path" (printf "%s.name" $path) "name" $user.name) -}}
{{- if eq $user.accessLevel "group-defined" -}}
{{- include "datapowerservice.validate.name" (dict "path" (printf "%s.group" $path) "name" $user.group) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "datapowerservice.validate.domains" -}}
{{- include "datapowerservice.validate.unique" (dict "path" "spec.domains" "list" .Values.domains "key" "name") -}}
{{- range $i, $domain := .Values.domains -}}
{{- $path := printf "spec.domains[%d]" $i -}}
{{- include "datapowerservice.validate.name" (dict "path" (printf "%s.name" $path) "name" $domain.name) -}}
{{- if or (contains "/" $domain.name) (has $domain.name (list "." "..")) -}}
{{- fail (printf "%s.name: %q cannot name a directory" $path $domain.name) -}}
{{- end -}}
{{- range $j, $cert := $domain.certs -}}
{{- if and $cert.subPath (ne $cert.certType "usrcerts") -}}
{{- fail (printf "%s.certs[%d].subPath: only allowed with certType usrcerts" $path $j) -}}
{{- end -}}
{{- if regexMatch "^/|(^|/)\\.\\.(/|$)|[[:cntrl:]]" ($cert.subPath | default "") -}}
{{- fail (printf "%s.certs[%d].subPath: must be relative and without .." $path $j) -}}
{{- end -}}
{{- end -}}
{{- with ($domain.settings).passphrase -}}
{{- if and .secret .generate -}}
{{- fail (printf "%s.settings.passphrase: secret and generate exclude each other" $path) -}}
{{- end -}}
{{- end -}}
{{- include "datapowerservice.validate.unique" (dict "path" (printf "%s.passwordMap" $path) "list" $domain.passwordMap "key" "alias") -}}
{{- range $j, $entry := $domain.passwordMap -}}
{{- include "datapowerservice.validate.name" (dict "path" (printf "%s.passwordMap[%d].alias" $path $j) "name" $entry.alias) -}}
{{- if eq (empty $entry.secret) (empty $entry.generate) -}}
{{- fail (printf "%s.passwordMap[%d]: needs either secret or generate" $path $j) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "datapowerservice.validate.storage" -}}
{{- include "datapowerservice.validate.unique" (dict "path" "spec.storage" "list" .Values.storage "key" "path") -}}
{{- range $i, $storage := .Values.storage -}}
{{- if and (eq $storage.type "persistent") (not $storage.size) -}}
{{- fail (printf "spec.storage[%d].size: required for persistent storage" $i) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "datapowerservice.validate.scaling" -}}
{{- if and (eq (.Values.updateStrategy).mode "manual") (kindIs "invalid" .Values.updateStrategy.partition) -}}
{{- fail "spec.updateStrategy.partition: required with mode manual" -}}
{{- end -}}
{{- if eq (include "datapowerservice.autoscaling" .) "HPA" -}}
{{- $hpa := .Values.podAutoScaling.hpa | default dict -}}
{{- if not $hpa.maxReplicas -}}
{{- fail "spec.podAutoScaling.hpa.maxReplicas: required with method HPA" -}}
{{- end -}}
{{- if le (int64 $hpa.maxReplicas) (int64 ($hpa.minReplicas | default 1)) -}}
{{- fail "spec.podAutoScaling.hpa.maxReplicas: must be greater than minReplicas" -}}
{{- end -}}
{{- if not (include "datapowerservice.hpa.metrics" .) -}}
{{- fail "spec.podAutoScaling.hpa: needs a target above 0 for CPU or memory" -}}
{{- end -}}
{{- end -}}
{{- end -}}
