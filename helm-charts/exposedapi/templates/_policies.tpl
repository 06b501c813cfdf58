{{/* Items of a list, or of a text that separates them by commas, as JSON. */}}
{{- define "exposedapi.items" -}}
{{- $items := list -}}
{{- $given := . -}}
{{- if kindIs "slice" . }}{{ $given = join "," . }}{{ end -}}
{{- range splitList "," $given -}}{{- with trim . -}}{{- $items = append $items . -}}{{- end -}}{{- end -}}
{{- $items | toJson -}}
{{- end -}}

{{/* The corsPolicy of the route, nothing when none is asked for. */}}
{{- define "exposedapi.corsPolicy" -}}
{{- $cors := .Values.CORS | default dict -}}
{{- if and .Values.settings.cors $cors.enabled -}}
{{- $preflight := $cors.handlePreflightRequests | default dict -}}
{{- if and (hasKey $preflight "enabled") (not $preflight.enabled) -}}
{{- fail "spec.CORS.handlePreflightRequests.enabled: Istio answers preflight requests wherever it handles CORS; remove it or set it to true" -}}
{{- end -}}
{{- $origins := include "exposedapi.items" ($cors.allowOrigins | default "*") | fromJsonArray -}}
{{- $any := has "*" $origins -}}
{{- if and $any $cors.allowCredentials -}}
{{- fail "spec.CORS.allowCredentials: with it, spec.CORS.allowOrigins must name the origins, or every site could act for its visitors" -}}
{{- end -}}
allowOrigins:
{{- if $any }}
  - regex: ".*"
{{- else }}
{{- range $origins }}
  - exact: {{ . | toJson }}
{{- end }}
{{- end }}
allowMethods: {{ include "exposedapi.items" ($preflight.allowMethods | default "GET, POST, HEAD, OPTIONS") }}
allowHeaders: {{ include "exposedapi.items" ($preflight.allowHeaders | default "Origin, Accept, X-Requested-With, Content-Type, Access-Control-Request-Method, Access-Control-Request-Headers") }}
maxAge: {{ $preflight.maxAge | default 1800 | int }}s
allowCredentials: {{ $cors.allowCredentials | default false }}
{{- end -}}
{{- end -}}

{{/* Refuses an API that asks for a policy which can't be rendered, when the operator is told to. */}}
{{- define "exposedapi.policies" -}}
{{- $mode := .Values.settings.unsupportedPolicies | default "ignore" | trim | lower -}}
{{- if not (has $mode (list "ignore" "refuse")) -}}
{{- fail (printf "settings.unsupportedPolicies: %q is not known; use ignore or refuse" $mode) -}}
{{- end -}}
{{- if eq $mode "refuse" -}}
{{- $asked := list -}}
{{- if and (dig "enabled" false (.Values.CORS | default dict)) (not .Values.settings.cors) -}}
{{- $asked = append $asked "spec.CORS (turn it on with APIOPERATORISTIO_CORS=true)" -}}
{{- end -}}
{{- if dig "enabled" false (.Values.apiKeyVerification | default dict) -}}
{{- $asked = append $asked "spec.apiKeyVerification (Istio has no store of keys)" -}}
{{- end -}}
{{- if dig "enabled" false (.Values.rateLimit | default dict) -}}
{{- $asked = append $asked "spec.rateLimit (each of Istio's gateways would count for itself, for all callers together)" -}}
{{- end -}}
{{- if dig "limit" "" (.Values.quota | default dict) -}}
{{- $asked = append $asked "spec.quota (Istio counts no calls over time)" -}}
{{- end -}}
{{- $oas := .Values.OASValidation | default dict -}}
{{- if or (dig "requestEnabled" false $oas) (dig "responseEnabled" false $oas) -}}
{{- $asked = append $asked "spec.OASValidation (Istio reads no specifications)" -}}
{{- end -}}
{{- if $asked -}}
{{- fail (printf "not exposed, because the API asks for what the gateway can't enforce: %s. Remove it from the API, or have it ignored with APIOPERATORISTIO_UNSUPPORTEDPOLICIES=ignore" (join ", " $asked)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
