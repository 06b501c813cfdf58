{{/*
Number and size of the pods, rollout.
*/}}

{{/* The autoscaling method: None, HPA or VPA. */}}
{{- define "datapowerservice.autoscaling" -}}
{{- (.Values.podAutoScaling).method | default "None" -}}
{{- end -}}

{{/*
`replicas` of the StatefulSet, "" when an autoscaler owns the field. A stopped service has none at all.
*/}}
{{- define "datapowerservice.replicas" -}}
{{- if (.Values.operator).stopped -}}
0
{{- else if and (ne (include "datapowerservice.autoscaling" .) "HPA") (not (kindIs "invalid" .Values.replicas)) -}}
{{- int64 .Values.replicas -}}
{{- end -}}
{{- end -}}

{{/* "true" when the service can have more than one pod, else "". */}}
{{- define "datapowerservice.several" -}}
{{- if or (eq (include "datapowerservice.autoscaling" .) "HPA") (gt (int64 .Values.replicas) 1) }}true{{ end -}}
{{- end -}}

{{/* The fewest pods that the service has when it runs. */}}
{{- define "datapowerservice.fewest" -}}
{{- if eq (include "datapowerservice.autoscaling" .) "HPA" -}}
{{- .Values.podAutoScaling.hpa.minReplicas | default 1 | int64 -}}
{{- else -}}
{{- int64 .Values.replicas -}}
{{- end -}}
{{- end -}}

{{/*
Metrics of the HorizontalPodAutoscaler, as a YAML list, "" when all are off. When the user names neither target, CPU with
the default target applies.
*/}}
{{- define "datapowerservice.hpa.metrics" -}}
{{- $hpa := (.Values.podAutoScaling).hpa | default dict -}}
{{- $cpu := $hpa.targetCPUUtilizationPercentage -}}
{{- $memory := $hpa.targetMemoryUtilizationPercentage -}}
{{- if and (kindIs "invalid" $cpu) (kindIs "invalid" $memory) -}}
{{- $cpu = .Values.defaults.podAutoScaling.targetCPUUtilizationPercentage -}}
{{- end -}}
{{- range $name, $target := dict "cpu" $cpu "memory" $memory }}
{{- with $target }}
- type: Resource
  resource:
    name: {{ $name }}
    target:
      type: Utilization
      averageUtilization: {{ int64 . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Update strategy of the StatefulSet. */}}
{{- define "datapowerservice.updateStrategy" -}}
type: RollingUpdate
{{- if eq (.Values.updateStrategy).mode "manual" }}
rollingUpdate:
  partition: {{ int64 .Values.updateStrategy.partition }}
{{- end }}
{{- end -}}

{{/*
Number of old revisions that the StatefulSet keeps. The user's number counts in mode automatic; its 0 means all of them,
while to Kubernetes 0 means none, so it becomes the largest number there is.
*/}}
{{- define "datapowerservice.revisionHistoryLimit" -}}
{{- $limit := .Values.defaults.updateStrategy.rolloutHistoryLimit -}}
{{- if eq (.Values.updateStrategy).mode "automatic" -}}
{{- $given := .Values.updateStrategy.rolloutHistoryLimit -}}
{{- $limit = ternary $limit $given (kindIs "invalid" $given) -}}
{{- end -}}
{{- int64 $limit | default 2147483647 -}}
{{- end -}}
