{{/*
Rules of the NetworkPolicy in mode Restricted. Probes of the kubelet come from the node, which no policy holds back.
*/}}

{{/* Peer that stands for the pods of this service. */}}
{{- define "datapowerservice.networkPolicy.self" -}}
- podSelector:
    matchLabels:
      {{- include "datapowerservice.selectorLabels" . | nindent 6 }}
{{- end -}}

{{- define "datapowerservice.networkPolicy.ingress" -}}
- from:
    {{- include "datapowerservice.networkPolicy.self" . | nindent 4 }}
- from:
    - namespaceSelector: {}
      podSelector:
        matchLabels:
          app.kubernetes.io/name: datapower-operator
  ports:
    - port: rest-mgmt
{{- if .Values.service.enabled }}
- ports:
    {{- range .Values.service.ports }}
    - port: {{ .targetPort | default .port }}
      protocol: {{ .protocol | default "TCP" }}
    {{- end }}
{{- end }}
{{- with include "datapowerservice.snmp.exporterPort" . }}
- ports:
    - port: {{ . }}
{{- end }}
{{- with .Values.networkPolicy.ingress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "datapowerservice.networkPolicy.egress" -}}
- to:
    {{- include "datapowerservice.networkPolicy.self" . | nindent 4 }}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- with .Values.networkPolicy.egress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
