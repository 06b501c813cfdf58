{{/*
Names of objects, volumes and annotation keys.

The release name is the name of the DataPowerService. It has at most 52 characters, so every suffix below fits.
*/}}

{{/* Name of the DataPowerService and of the objects that there is one of. */}}
{{- define "datapowerservice.name" -}}
{{- .Release.Name -}}
{{- end -}}

{{- define "datapowerservice.headlessName" -}}
{{- .Release.Name }}-headless
{{- end -}}

{{- define "datapowerservice.initName" -}}
{{- .Release.Name }}-init
{{- end -}}

{{- define "datapowerservice.userCommandsName" -}}
{{- .Release.Name }}-user-commands
{{- end -}}

{{/* ServiceAccount of the pods: the user's, or the one that this chart makes. */}}
{{- define "datapowerservice.serviceAccountName" -}}
{{- .Values.serviceAccountName | default (printf "%s-datapower" .Release.Name) -}}
{{- end -}}

{{/* First eight hexadecimal digits of the SHA-256 of a text: how derived names carry what they had to drop. */}}
{{- define "datapowerservice.shortHash" -}}
{{- toString . | sha256sum | trunc 8 -}}
{{- end -}}

{{/*
Value of the label app.kubernetes.io/instance: <namespace>-<name>. What does not fit into 63 characters is cut to 54 and
ends in a dash and a hash of the whole.
*/}}
{{- define "datapowerservice.instance" -}}
{{- $whole := printf "%s-%s" .Release.Namespace .Release.Name -}}
{{- if le (len $whole) 63 -}}
{{- $whole -}}
{{- else -}}
{{- trunc 54 $whole }}-{{ include "datapowerservice.shortHash" $whole -}}
{{- end -}}
{{- end -}}

{{/*
Name of the Secret that the operator generates for a password alias of a domain, or for the domain's passphrase.
The operator computes the same name in Go, see GeneratedSecretName of api/datapower/v1beta3, which explains the rules.

Arguments (dict): service, domain, alias ("" for the passphrase).
*/}}
{{- define "datapowerservice.generatedSecretName" -}}
{{- $plain := printf "%s-%s-passphrase" .service .domain -}}
{{- if .alias -}}
{{- $plain = printf "%s-%s-%s-password" .service .domain .alias -}}
{{- end -}}
{{- $name := regexReplaceAll "[^a-z0-9-]" (lower $plain) "-" -}}
{{- $ambiguous := or (contains "-" .domain) (contains "-" .alias) -}}
{{- if and (eq $name $plain) (not $ambiguous) (le (len $name) 253) -}}
{{- $name -}}
{{- else -}}
{{- trunc 244 $name }}-{{ include "datapowerservice.shortHash" (printf "%s/%s/%s" .service .domain .alias) -}}
{{- end -}}
{{- end -}}

{{/*
Name of the volume for a path of spec.storage. /opt/ibm/config gives storage-opt-ibm-config. Every other form of path
(dashes, capitals, dots, double slashes, too long) gets a hash, so that two paths never give one name.

Argument: the path.
*/}}
{{- define "datapowerservice.volumeName" -}}
{{- $plain := printf "storage%s" (regexReplaceAll "[^a-z0-9]" (lower .) "-") -}}
{{- if and (regexMatch "^(/[a-z0-9]+)+$" .) (le (len $plain) 63) -}}
{{- $plain -}}
{{- else -}}
{{- trunc 54 $plain | trimSuffix "-" }}-{{ include "datapowerservice.shortHash" . -}}
{{- end -}}
{{- end -}}

{{/*
Key of the pod-template annotation that carries the hash of a user or a domain. A name that cannot stand in a key is
replaced by its hash.

Arguments (dict): kind ("user" or "domains"), name.
*/}}
{{- define "datapowerservice.reconciledKey" -}}
{{- $key := printf "%s.%s.reconciled" .kind .name -}}
{{- if not (and (regexMatch "^[-A-Za-z0-9_.]+$" $key) (le (len $key) 63)) -}}
{{- $key = printf "%s.%s.reconciled" .kind (include "datapowerservice.shortHash" .name) -}}
{{- end -}}
datapower.ibm.com/{{ $key }}
{{- end -}}
