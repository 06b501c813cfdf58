{{/* Paths of the set fields that are accepted and ignored, as a JSON array. */}}
{{- define "datapowerservice.ignored" -}}
{{- $paths := list -}}
{{- range $name, $value := dict "createServiceBinding" .Values.createServiceBinding "odTracing" .Values.odTracing "jaegerTracing" .Values.jaegerTracing -}}
{{- if $value -}}
{{- $paths = append $paths (printf "spec.%s" $name) -}}
{{- end -}}
{{- end -}}
{{- range $i, $storage := .Values.storage -}}
{{- if $storage.volumeMode -}}
{{- $paths = append $paths (printf "spec.storage[%d].volumeMode" $i) -}}
{{- end -}}
{{- end -}}
{{- toJson $paths -}}
{{- end -}}
