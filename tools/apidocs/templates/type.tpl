{{- define "type" -}}
{{- $type := .type -}}
{{- $names := .names -}}
{{- if markdownShouldRenderType $type }}

## {{ $type.Name }}

{{ if $type.IsAlias }}A {{ markdownRenderTypeLink $type.UnderlyingType }}. {{ end }}{{ $type.Doc }}
{{- $in := list -}}
{{- range $type.SortedReferences }}{{ if hasKey $names .UID }}{{ $in = append $in (markdownRenderTypeLink .) }}{{ end }}{{ end }}
{{- if $in }}

Appears in: {{ join ", " $in }}.
{{- end }}
{{- if $type.Members }}

| field | what it is | default | rules |
|---|---|---|---|
{{- if $type.GVK }}
| `apiVersion` _string_ | `{{ $type.GVK.Group }}/{{ $type.GVK.Version }}` | | |
| `kind` _string_ | `{{ $type.GVK.Kind }}` | | |
{{- end }}
{{- range $type.Members }}
| `{{ .Name }}` _{{ markdownRenderType .Type }}_ | {{ template "type_members" . }} | {{ with toString .Default }}`{{ . }}`{{ end }} | {{ template "rules" . }} |
{{- end }}
{{- end }}
{{- if $type.EnumValues }}

One of {{ range $at, $value := $type.EnumValues }}{{ if $at }}, {{ end }}`{{ $value.Name }}`{{ end }}.
{{- end }}
{{- end }}
{{- end -}}
{{- define "rules" -}}
{{- $rules := list -}}
{{- range .Validation -}}
{{- if hasPrefix "Required:" . }}{{ $rules = append $rules "required" }}
{{- else if not (hasPrefix "Optional:" .) }}{{ $rules = append $rules (replace "|" "\\|" .) }}{{ end -}}
{{- end -}}
{{- join ", " $rules -}}
{{- end -}}
