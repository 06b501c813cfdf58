{{/* The name of the ExposedAPI, and of what is rendered for it. The name of the release is shorter when this is long. */}}
{{- define "exposedapi.name" -}}
{{ .Values.operator.name | default .Release.Name }}
{{- end -}}

{{/* The metadata of every object. */}}
{{- define "exposedapi.metadata" -}}
name: {{ include "exposedapi.name" . }}
namespace: {{ .Release.Namespace }}
{{- with .Values.operator.labels }}
labels:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* "true" when the API is served in this cluster. */}}
{{- define "exposedapi.local" -}}
{{- if ne (required "spec.implementation: the name of a Service is required" .Values.implementation) "<external>" -}}true{{- end -}}
{{- end -}}

{{/* "true" when the API gets a route. */}}
{{- define "exposedapi.routed" -}}
{{- $internal := has .Values.segment (.Values.settings.internalSegments | default list) -}}
{{- if and (include "exposedapi.local" .) (not $internal) (not .Values.operator.conflict) -}}true{{- end -}}
{{- end -}}

{{/* "true" when the API's metrics are collected through a ServiceMonitor. */}}
{{- define "exposedapi.monitored" -}}
{{- $type := .Values.apiType | default .Values.apitype -}}
{{- $metrics := or (eq $type "prometheus") (eq $type "openmetrics") -}}
{{- $mode := .Values.settings.metrics | default "ServiceMonitor" | trim | lower -}}
{{- if and (include "exposedapi.local" .) $metrics (eq $mode "servicemonitor") -}}true{{- end -}}
{{- end -}}

{{/* The version of networking.istio.io to write routes in, "" when the cluster serves none of those that may be used. */}}
{{- define "exposedapi.istioVersion" -}}
{{- $wanted := list "v1alpha3" "v1beta1" "v1" -}}
{{- with .Values.settings.virtualServiceVersion -}}{{- $wanted = list . -}}{{- end -}}
{{- $found := "" -}}
{{- range $wanted -}}
{{- if and (not $found) ($.Capabilities.APIVersions.Has (printf "networking.istio.io/%s/VirtualService" .)) -}}
{{- $found = . -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{/* The path. */}}
{{- define "exposedapi.path" -}}
{{- required "spec.path: a path is required" .Values.path -}}
{{- end -}}

{{/* The port of the Service. */}}
{{- define "exposedapi.port" -}}
{{- $port := int (required "spec.port: the port of the Service is required" .Values.port) -}}
{{- if or (lt $port 1) (gt $port 65535) -}}
{{- fail (printf "spec.port: %d is no port; use 1 to 65535" $port) -}}
{{- end -}}
{{- $port -}}
{{- end -}}

{{/* The host of the route. */}}
{{- define "exposedapi.host" -}}
{{- $host := .Values.settings.publicHostname | default "*" -}}
{{- if and .Values.settings.hostFromSpec .Values.hostname -}}{{- $host = .Values.hostname -}}{{- end -}}
{{- $host -}}
{{- end -}}

{{/* The conditions on the path of a request. */}}
{{- define "exposedapi.match" -}}
{{- $path := include "exposedapi.path" . -}}
{{- $bare := regexReplaceAll "/+$" $path "" -}}
{{- if and .Values.settings.segmentSafePrefix $bare -}}
- uri:
    exact: {{ $bare | toJson }}
- uri:
    prefix: {{ printf "%s/" $bare | toJson }}
{{- else -}}
- uri:
    prefix: {{ $path | toJson }}
{{- end -}}
{{- end -}}
