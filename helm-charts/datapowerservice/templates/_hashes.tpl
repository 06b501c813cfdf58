{{/*
Content hashes in the annotations of the pods. A changed hash rolls the pods.

Templates cannot read Secrets and ConfigMaps, so the operator hands over hashes of their content in operator.references.
*/}}

{{/*
Hash of a value and of the content of what it refers to.

Arguments (dict): root, value (any), secrets (list of names), configMaps (list of names).
*/}}
{{- define "datapowerservice.hash" -}}
{{- $known := (.root.Values.operator).references | default dict -}}
{{- $parts := list (toJson .value) -}}
{{- range .secrets -}}
{{- $parts = append $parts (printf "secret/%s=%s" . (dig "secrets" . "" $known)) -}}
{{- end -}}
{{- range .configMaps -}}
{{- $parts = append $parts (printf "configmap/%s=%s" . (dig "configMaps" . "" $known)) -}}
{{- end -}}
{{- join "\n" $parts | sha256sum | trunc 16 -}}
{{- end -}}

{{/* Names of the Secrets of a domain, as JSON {"names": [...]}. Arguments (dict): root, domain. */}}
{{- define "datapowerservice.domain.secrets" -}}
{{- $names := list -}}
{{- range .domain.certs -}}
{{- $names = append $names .secret -}}
{{- end -}}
{{- $passphrase := include "datapowerservice.domain.passphraseSecret" . -}}
{{- if $passphrase -}}
{{- $names = append $names $passphrase -}}
{{- end -}}
{{- range .domain.passwordMap -}}
{{- $names = append $names (include "datapowerservice.domain.passwordSecret" (dict "root" $.root "domain" $.domain "entry" .)) -}}
{{- end -}}
{{- dict "names" $names | toJson -}}
{{- end -}}

{{/* All reconciled annotations, as YAML. */}}
{{- define "datapowerservice.hashes" -}}
{{- $hashes := dict -}}
{{- range (include "datapowerservice.users" . | fromJson).users -}}
{{- $key := include "datapowerservice.reconciledKey" (dict "kind" "user" "name" .name) -}}
{{- $_ := set $hashes $key (include "datapowerservice.hash" (dict "root" $ "value" . "secrets" (list .passwordSecret))) -}}
{{- end -}}
{{- range .Values.domains -}}
{{- $key := include "datapowerservice.reconciledKey" (dict "kind" "domains" "name" .name) -}}
{{- $secrets := (include "datapowerservice.domain.secrets" (dict "root" $ "domain" .) | fromJson).names -}}
{{- $configMaps := concat ((.dpApp).config | default list) ((.dpApp).local | default list) -}}
{{- $_ := set $hashes $key (include "datapowerservice.hash" (dict "root" $ "value" . "secrets" $secrets "configMaps" $configMaps)) -}}
{{- end -}}
{{- $commands := include "datapowerservice.userCommands" . -}}
{{- $_ := set $hashes "datapower.ibm.com/username.commands.reconciled" (include "datapowerservice.hash" (dict "root" $ "value" $commands)) -}}
{{- $init := include "datapowerservice.plan" . -}}
{{- $_ := set $hashes "datapower.ibm.com/init.reconciled" (include "datapowerservice.hash" (dict "root" $ "value" $init)) -}}
{{- $_ := set $hashes "datapower.ibm.com/references.reconciled" (include "datapowerservice.hash.others" .) -}}
{{- toYaml $hashes -}}
{{- end -}}

{{/* Hash of what env, extraExe and snmp refer to. */}}
{{- define "datapowerservice.hash.others" -}}
{{- $secrets := list -}}
{{- $configMaps := (.Values.extraExe | default list) -}}
{{- range .Values.env -}}
{{- with ((.valueFrom).secretKeyRef).name -}}
{{- $secrets = append $secrets . -}}
{{- end -}}
{{- with ((.valueFrom).configMapKeyRef).name -}}
{{- $configMaps = append $configMaps . -}}
{{- end -}}
{{- end -}}
{{- with ((.Values.snmp).generator).config -}}
{{- $configMaps = append $configMaps . -}}
{{- end -}}
{{- include "datapowerservice.hash" (dict "root" . "value" "" "secrets" $secrets "configMaps" $configMaps) -}}
{{- end -}}
