{{/*
SNMP: the gateway's agent, and a Prometheus exporter beside it.
*/}}

{{/* Port of the gateway's SNMP agent, "" when spec.snmp is absent. */}}
{{- define "datapowerservice.snmp.port" -}}
{{- if .Values.snmp -}}
{{- ((.Values.snmp).config).port | default .Values.defaults.snmp.port | int64 -}}
{{- end -}}
{{- end -}}

{{/* Port of the exporter, "" when there is none. */}}
{{- define "datapowerservice.snmp.exporterPort" -}}
{{- if ((.Values.snmp).exporter).enabled -}}
{{- ((.Values.snmp).exporter).port | default .Values.defaults.snmp.exporterPort | int64 -}}
{{- end -}}
{{- end -}}

{{/* ConfigMap with generator.yaml, "" when the exporter uses its built-in configuration. */}}
{{- define "datapowerservice.snmp.generatorConfig" -}}
{{- if ((.Values.snmp).exporter).enabled -}}
{{- ((.Values.snmp).generator).config | default "" -}}
{{- end -}}
{{- end -}}

{{/* Annotations that lead Prometheus to the exporter, and the exporter to the agent. */}}
{{- define "datapowerservice.snmp.annotations" -}}
{{- with include "datapowerservice.snmp.exporterPort" . -}}
prometheus.io/port: {{ . | quote }}
prometheus.io/path: /snmp
prometheus.io/param_target: {{ printf "127.0.0.1:%s" (include "datapowerservice.snmp.port" $) | quote }}
{{- end -}}
{{- end -}}

{{/* Volumes of the generator and the exporter. */}}
{{- define "datapowerservice.snmp.volumes" -}}
{{- with include "datapowerservice.snmp.generatorConfig" . }}
- name: snmp-generator
  configMap:
    name: {{ . | quote }}
- name: snmp-exporter
  emptyDir: {}
{{- end }}
{{- end -}}

{{/* Init container that turns generator.yaml and the MIB files beside it into the exporter's configuration. */}}
{{- define "datapowerservice.snmp.initContainer" -}}
- name: snmp-generator
  image: {{ .Values.snmpExporter.generatorImage | quote }}
  imagePullPolicy: IfNotPresent
  args:
    - generate
    - --mibs-dir=/etc/snmp-generator
    - --generator-path=/etc/snmp-generator/generator.yaml
    - --output-path=/etc/snmp-exporter/snmp.yml
  resources:
    {{- toYaml .Values.snmpExporter.resources | nindent 4 }}
  securityContext:
    {{- toYaml .Values.securityContext.container | nindent 4 }}
  volumeMounts:
    - name: snmp-generator
      mountPath: /etc/snmp-generator
      readOnly: true
    - name: snmp-exporter
      mountPath: /etc/snmp-exporter
{{- end -}}

{{/* The exporter's container. */}}
{{- define "datapowerservice.snmp.container" -}}
{{- $port := include "datapowerservice.snmp.exporterPort" . -}}
- name: snmp-exporter
  image: {{ .Values.snmpExporter.image | quote }}
  imagePullPolicy: IfNotPresent
  args:
    - {{ printf "--web.listen-address=:%s" $port | quote }}
    {{- if include "datapowerservice.snmp.generatorConfig" . }}
    - --config.file=/etc/snmp-exporter/snmp.yml
    {{- end }}
  ports:
    - name: snmp-exporter
      containerPort: {{ $port }}
  resources:
    {{- toYaml .Values.snmpExporter.resources | nindent 4 }}
  securityContext:
    {{- toYaml .Values.securityContext.container | nindent 4 }}
  {{- if include "datapowerservice.snmp.generatorConfig" . }}
  volumeMounts:
    - name: snmp-exporter
      mountPath: /etc/snmp-exporter
      readOnly: true
  {{- end }}
{{- end -}}
