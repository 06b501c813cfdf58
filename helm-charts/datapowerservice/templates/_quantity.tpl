{{/*
Arithmetic with Kubernetes quantities. A quantity arrives as a string ("500m", "4Gi", "1e3") or as a JSON number, which
Go hands to templates as float64 or int64.
*/}}

{{/* A quantity as text that Kubernetes reads, 1 and 8589934592 without an exponent. Argument: the quantity. */}}
{{- define "datapowerservice.quantity" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . | trim -}}
{{- end -}}
{{- end -}}

{{/* A quantity in thousandths, as a decimal number to compare with others. Argument: the quantity. */}}
{{- define "datapowerservice.quantity.milli" -}}
{{- $text := include "datapowerservice.quantity" . -}}
{{- $number := regexFind "^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)" $text -}}
{{- $suffix := trimPrefix $number $text -}}
{{- $thousandths := dict
      "n" "0.000001" "u" "0.001" "m" "1" "" "1000"
      "k" "1000000" "M" "1000000000" "G" "1000000000000" "T" "1000000000000000"
      "P" "1000000000000000000" "E" "1000000000000000000000"
      "Ki" "1024000" "Mi" "1048576000" "Gi" "1073741824000" "Ti" "1099511627776000"
      "Pi" "1125899906842624000" "Ei" "1152921504606846976000" -}}
{{- if and $number (hasKey $thousandths $suffix) -}}
{{- mulf $number (get $thousandths $suffix) -}}
{{- else if and $number (regexMatch "^[eE][-+]?[0-9]+$" $suffix) -}}
{{- mulf $text 1000 -}}
{{- else -}}
{{- fail (printf "%q is no Kubernetes quantity" $text) -}}
{{- end -}}
{{- end -}}

{{/* "true" when quantity a is less than quantity b, else "". Arguments (dict): a, b. */}}
{{- define "datapowerservice.quantity.less" -}}
{{- $a := include "datapowerservice.quantity.milli" .a | float64 -}}
{{- $b := include "datapowerservice.quantity.milli" .b | float64 -}}
{{- if lt $a $b }}true{{ end -}}
{{- end -}}

{{/* A quantity in whole units, rounded up, at least 1. Argument: the quantity. */}}
{{- define "datapowerservice.quantity.ceil" -}}
{{- $units := divf (include "datapowerservice.quantity.milli" .) 1000 | ceil | int64 -}}
{{- max 1 $units -}}
{{- end -}}
