{{/*
Users and domains of the gateway.
*/}}

{{/* The users that apply, as JSON {"users": [...]}. */}}
{{- define "datapowerservice.users" -}}
{{- dict "users" (.Values.users | default .Values.defaults.users) | toJson -}}
{{- end -}}

{{/* Name of the Secret with the passphrase of a domain, "" for none. Arguments (dict): root, domain. */}}
{{- define "datapowerservice.domain.passphraseSecret" -}}
{{- $passphrase := (.domain.settings).passphrase | default dict -}}
{{- if $passphrase.secret -}}
{{- $passphrase.secret -}}
{{- else if $passphrase.generate -}}
{{- include "datapowerservice.generatedSecretName" (dict "service" .root.Release.Name "domain" .domain.name "alias" "") -}}
{{- else -}}
{{- .domain.passphraseSecret | default "" -}}
{{- end -}}
{{- end -}}

{{/* Name of the Secret with the password of a password alias. Arguments (dict): root, domain, entry. */}}
{{- define "datapowerservice.domain.passwordSecret" -}}
{{- if .entry.secret -}}
{{- .entry.secret -}}
{{- else -}}
{{- include "datapowerservice.generatedSecretName" (dict "service" .root.Release.Name "domain" .domain.name "alias" .entry.alias) -}}
{{- end -}}
{{- end -}}

{{/*
A text as one quoted argument of a command of the gateway's configuration.

Argument: the text.
*/}}
{{- define "datapowerservice.cfgQuote" -}}
"{{ toString . | replace "\\" "\\\\" | replace "\"" "\\\"" }}"
{{- end -}}

{{/* Configuration commands that give a user its rights. Argument: the user. */}}
{{- define "datapowerservice.userCommand" -}}
access-level {{ .accessLevel }}
{{- if and .group (eq .accessLevel "group-defined") }}
group {{ include "datapowerservice.cfgQuote" .group }}
{{- end }}
{{ end -}}

{{/* Data of the ConfigMap <name>-user-commands, as YAML: one file per user, named by its position. */}}
{{- define "datapowerservice.userCommands" -}}
{{- $data := dict -}}
{{- range $i, $user := (include "datapowerservice.users" . | fromJson).users -}}
{{- $_ := set $data (printf "user.%d" $i) (include "datapowerservice.userCommand" $user) -}}
{{- end -}}
{{- toYaml $data -}}
{{- end -}}
