{{/*
Parts of the pod that need thinking: resources, probes, environment, ports, affinity, security.
*/}}

{{/*
Request and limit of one resource, as JSON {"request", "limit"}. What the user gave stays. A default request is lowered
to the user's limit, a default limit is raised to the request, a missing limit is the request.

Arguments (dict): root, resource ("cpu" or "memory").
*/}}
{{- define "datapowerservice.resource" -}}
{{- $default := get .root.Values.defaults.resources (include "datapowerservice.use" .root) | default dict -}}
{{- $given := .root.Values.resources | default dict -}}
{{- $request := get ($given.requests | default dict) .resource -}}
{{- $limit := get ($given.limits | default dict) .resource -}}
{{- if and $request $limit (include "datapowerservice.quantity.less" (dict "a" $limit "b" $request)) -}}
{{- fail (printf "spec.resources.requests.%s: %v exceeds the limit %v" .resource $request $limit) -}}
{{- end -}}
{{- if not $request -}}
{{- $request = get ($default.requests | default dict) .resource -}}
{{- if and $limit (include "datapowerservice.quantity.less" (dict "a" $limit "b" $request)) -}}
{{- $request = $limit -}}
{{- end -}}
{{- end -}}
{{- if not $limit -}}
{{- $limit = get ($default.limits | default dict) .resource | default $request -}}
{{- if include "datapowerservice.quantity.less" (dict "a" $limit "b" $request) -}}
{{- $limit = $request -}}
{{- end -}}
{{- end -}}
{{- dict "request" (include "datapowerservice.quantity" $request) "limit" (include "datapowerservice.quantity" $limit) | toJson -}}
{{- end -}}

{{/* Resources of the gateway's container. */}}
{{- define "datapowerservice.resources" -}}
{{- $cpu := include "datapowerservice.resource" (dict "root" . "resource" "cpu") | fromJson -}}
{{- $memory := include "datapowerservice.resource" (dict "root" . "resource" "memory") | fromJson -}}
requests:
  cpu: {{ $cpu.request | quote }}
  memory: {{ $memory.request | quote }}
limits:
  cpu: {{ $cpu.limit | quote }}
  memory: {{ $memory.limit | quote }}
{{- end -}}

{{/* Port of the health check listener and of the default probes. */}}
{{- define "datapowerservice.healthPort" -}}
{{- ((.Values.healthCheck).probe).port | default .Values.defaults.healthCheck.port | int64 -}}
{{- end -}}

{{/*
The watchdog's timeouts, as JSON {"soft", "hard"} in seconds, {} when it is off. A default soft timeout is lowered below
the user's hard one.
*/}}
{{- define "datapowerservice.watchdog" -}}
{{- $watchdog := (.Values.healthCheck).watchdog | default dict -}}
{{- if $watchdog.enabled -}}
{{- $hard := $watchdog.hardTimeoutSeconds | default .Values.defaults.healthCheck.hardTimeoutSeconds | int64 -}}
{{- $soft := $watchdog.softTimeoutSeconds | default (min $hard .Values.defaults.healthCheck.softTimeoutSeconds) | int64 -}}
{{- dict "soft" $soft "hard" $hard | toJson -}}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{/*
A probe: the user's, each absent scalar from the default, the default's handler when the user names none.

Arguments (dict): root, probe, default.
*/}}
{{- define "datapowerservice.probe" -}}
{{- $handlers := list "exec" "grpc" "httpGet" "tcpSocket" -}}
{{- $probe := dict -}}
{{- $named := false -}}
{{- range $key, $value := .probe -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $probe $key $value -}}
{{- $named = or $named (has $key $handlers) -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := deepCopy .default -}}
{{- if not (or (hasKey $probe $key) (and $named (has $key $handlers))) -}}
{{- if and (kindIs "map" $value) (not (hasKey $value "port")) (ne $key "exec") -}}
{{- $_ := set $value "port" (include "datapowerservice.healthPort" $.root | int64) -}}
{{- end -}}
{{- $_ := set $probe $key $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $probe -}}
{{- end -}}

{{- define "datapowerservice.readinessProbe" -}}
{{- include "datapowerservice.probe" (dict "root" . "probe" .Values.readinessProbe "default" .Values.defaults.readinessProbe) -}}
{{- end -}}

{{/*
The liveness probe. With a watchdog, a probe that names no failureThreshold fails for at least the hard timeout before the
container is restarted.
*/}}
{{- define "datapowerservice.livenessProbe" -}}
{{- $probe := include "datapowerservice.probe" (dict "root" . "probe" .Values.livenessProbe "default" .Values.defaults.livenessProbe) | fromYaml -}}
{{- $hard := (include "datapowerservice.watchdog" . | fromJson).hard -}}
{{- if and $hard (not (.Values.livenessProbe).failureThreshold) -}}
{{- $_ := set $probe "failureThreshold" (divf $hard ($probe.periodSeconds | default 10) | ceil | int64) -}}
{{- end -}}
{{- toYaml $probe -}}
{{- end -}}

{{/*
The startup probe, which readinessTimeoutSeconds asks for: the readiness probe's handler, failing for at least that long
before the container is restarted.
*/}}
{{- define "datapowerservice.startupProbe" -}}
{{- $probe := include "datapowerservice.readinessProbe" . | fromYaml -}}
{{- $_ := set $probe "failureThreshold" (divf .Values.readinessTimeoutSeconds ($probe.periodSeconds | default 10) | ceil | int64) -}}
{{- $_ := set $probe "successThreshold" 1 -}}
{{- toYaml $probe -}}
{{- end -}}

{{/*
Environment of the gateway: the operator's variables, then the user's. Of several with one name only the last stays, in
its place, because a variable may refer to those before it.
*/}}
{{- define "datapowerservice.env" -}}
{{- $license := ternary "true" "false" ((.Values.license).accept | default false) -}}
{{- $cpu := (include "datapowerservice.resource" (dict "root" . "resource" "cpu") | fromJson).limit -}}
{{- $threads := dict "name" "DATAPOWER_WORKER_THREADS" "value" (include "datapowerservice.quantity.ceil" $cpu) -}}
{{- if eq (include "datapowerservice.autoscaling" .) "VPA" -}}
{{- /* The autoscaler changes the limit of a running pod's template, so the pod asks for its own limit, rounded up. */ -}}
{{- $limit := dict "containerName" "datapower" "resource" "limits.cpu" "divisor" "1" -}}
{{- $threads = dict "name" "DATAPOWER_WORKER_THREADS" "valueFrom" (dict "resourceFieldRef" $limit) -}}
{{- end -}}
{{- $own := list
      (dict "name" "DATAPOWER_ACCEPT_LICENSE" "value" $license)
      (dict "name" "DATAPOWER_LICENSE_ACCEPT" "value" $license)
      (dict "name" "DATAPOWER_INTERACTIVE" "value" "true")
      $threads -}}
{{- $env := list -}}
{{- $seen := dict -}}
{{- range concat $own (.Values.env | default list) | reverse -}}
{{- if not (hasKey $seen .name) -}}
{{- $_ := set $seen .name true -}}
{{- $env = prepend $env . -}}
{{- end -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}

{{/*
Ports of the gateway, as JSON {"ports": [{"name", "containerPort", "protocol"}]}. The health check and SNMP add theirs,
unless the list has the number already.
*/}}
{{- define "datapowerservice.ports" -}}
{{- $wanted := .Values.containerPorts | default list -}}
{{- $wanted = append $wanted (dict "name" "health-check" "containerPort" (include "datapowerservice.healthPort" .)) -}}
{{- with include "datapowerservice.snmp.port" . -}}
{{- $wanted = append $wanted (dict "name" "snmp" "containerPort" . "protocol" "UDP") -}}
{{- end -}}
{{- $ports := list -}}
{{- $seen := dict -}}
{{- range $wanted -}}
{{- $port := dict "name" .name "containerPort" (int64 .containerPort) "protocol" (.protocol | default "TCP") -}}
{{- $key := printf "%d/%s" $port.containerPort $port.protocol -}}
{{- if not (hasKey $seen $key) -}}
{{- $_ := set $seen $key true -}}
{{- $ports = append $ports $port -}}
{{- end -}}
{{- end -}}
{{- dict "ports" $ports | toJson -}}
{{- end -}}

{{/*
Affinity of the pods: the user's, else the default. A pod anti-affinity term without labelSelector, which to Kubernetes
means no pod at all, means the pods of this service.
*/}}
{{- define "datapowerservice.affinity" -}}
{{- $affinity := ternary .Values.defaults.affinity .Values.affinity (kindIs "invalid" .Values.affinity) | deepCopy -}}
{{- $own := dict "matchLabels" (include "datapowerservice.selectorLabels" . | fromYaml) -}}
{{- range ($affinity.podAntiAffinity).preferredDuringSchedulingIgnoredDuringExecution -}}
{{- if not (hasKey .podAffinityTerm "labelSelector") -}}
{{- $_ := set .podAffinityTerm "labelSelector" $own -}}
{{- end -}}
{{- end -}}
{{- range ($affinity.podAntiAffinity).requiredDuringSchedulingIgnoredDuringExecution -}}
{{- if not (hasKey . "labelSelector") -}}
{{- $_ := set . "labelSelector" $own -}}
{{- end -}}
{{- end -}}
{{- toYaml $affinity -}}
{{- end -}}

{{/* Security context of the pods. */}}
{{- define "datapowerservice.podSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.securityContext.runAsUser }}
runAsUser: {{ int64 . }}
{{- end }}
{{- with .Values.securityContext.fsGroup }}
fsGroup: {{ int64 . }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- with .Values.securityContext.seccompProfile }}
seccompProfile:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
Security context of the gateway's container. A gateway that runs as root keeps the container runtime's default
capabilities: root without any of them can do less than the user drouter, not even read that user's files.
*/}}
{{- define "datapowerservice.gatewaySecurityContext" -}}
{{- $context := .Values.securityContext.container -}}
{{- if .Values.runAsRoot -}}
{{- $context = omit $context "capabilities" -}}
{{- $_ := set $context "runAsNonRoot" false -}}
{{- $_ := set $context "runAsUser" 0 -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}
