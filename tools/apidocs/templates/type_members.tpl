{{- define "type_members" -}}
{{- if eq .Name "metadata" -}}
As of every object of Kubernetes.
{{- else -}}
{{ markdownRenderFieldDoc .Doc }}
{{- end -}}
{{- end -}}
