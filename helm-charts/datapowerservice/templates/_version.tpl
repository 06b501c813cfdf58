{{/*
From spec.version and spec.license.use to an exact version and an image.
*/}}

{{/*
The exact version that `version` stands for: a channel or its former name through the catalogue, or an exact version,
which need not be in the catalogue.
*/}}
{{- define "datapowerservice.version" -}}
{{- $asked := toString (.Values.version | default "") -}}
{{- $channel := get .Values.catalogue.aliases $asked | default $asked -}}
{{- if hasKey .Values.catalogue.channels $channel -}}
{{- (get .Values.catalogue.channels $channel).version -}}
{{- else if hasKey .Values.catalogue.versions $asked -}}
{{- $asked -}}
{{- else if regexMatch "^[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+(sr[0-9]+|\\.[0-9]+)?$" $asked -}}
{{- $asked -}}
{{- else -}}
{{- $known := keys .Values.catalogue.channels | sortAlpha | join ", " -}}
{{- fail (printf "spec.version: %q is neither an exact version such as 10.6.0.1 nor a known channel (%s)" $asked $known) -}}
{{- end -}}
{{- end -}}

{{/* The edition that `license.use` names. */}}
{{- define "datapowerservice.use" -}}
{{- $use := toString ((.Values.license).use | default "") -}}
{{- if not (hasKey .Values.images $use) -}}
{{- fail (printf "spec.license.use: %q is none of %s" $use (keys .Values.images | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $use -}}
{{- end -}}

{{/* The gateway's image: the user's as it is, or registry, edition and version. */}}
{{- define "datapowerservice.image" -}}
{{- if .Values.image -}}
{{- .Values.image -}}
{{- else -}}
{{- $use := include "datapowerservice.use" . -}}
{{- $version := include "datapowerservice.version" . -}}
{{- $tag := dig $version "tag" $version .Values.catalogue.versions -}}
{{- printf "%s/%s:%s" (get .Values.registries $use) (get .Values.images $use) $tag -}}
{{- end -}}
{{- end -}}
