{{- define "gvDetails" -}}
{{- $gv := . -}}
# {{ join ", " $gv.SortedKinds }}

<!-- Generated from the Go types in api/ by tools/apidocs; `make generate` writes it and `make verify` checks it. -->

Every field of `{{ $gv.GroupVersionString }}`. `kubectl explain` tells the same. [All references](README.md).
{{- $found := dict "types" list "names" dict }}
{{- range $gv.SortedKinds }}{{ template "reach" (dict "type" ($gv.TypeForKind .) "found" $found) }}{{ end }}
{{- range $found.types }}{{ template "type" (dict "type" . "names" $found.names) }}{{ end }}
{{ end -}}

{{- /* Finds a type of ours, and then those of its fields which were not there yet. */ -}}
{{- define "reach" -}}
{{- $found := .found -}}
{{- with .type -}}
{{- if and (hasPrefix "github.com/datapower-operator/" .Package) (markdownShouldRenderType .) (not (hasKey $found.names .UID)) -}}
{{- $_ := set $found.names .UID true -}}
{{- $_ := set $found "types" (append $found.types .) -}}
{{- range .Members }}{{ template "reach" (dict "type" .Type "found" $found) }}{{ end -}}
{{- end -}}
{{- template "reach" (dict "type" .UnderlyingType "found" $found) -}}
{{- template "reach" (dict "type" .ValueType "found" $found) -}}
{{- end -}}
{{- end -}}
