{{/*
The gateway's container. The init script prepares it and then becomes the gateway's own start program, so signals and
`kubectl attach` reach the gateway.
*/}}
{{- define "datapowerservice.gateway" -}}
- name: datapower
  image: {{ include "datapowerservice.image" . | quote }}
  {{- with .Values.imagePullPolicy }}
  imagePullPolicy: {{ . }}
  {{- end }}
  command:
    - /bin/sh
    - {{ include "datapowerservice.inputRoot" . }}/init/init.sh
  args:
    {{- toYaml .Values.startCommand | nindent 4 }}
  {{- /* The gateway's command line is on its terminal: kubectl attach -it <pod> -c datapower. */}}
  stdin: true
  tty: true
  env:
    {{- include "datapowerservice.env" . | nindent 4 }}
  ports:
    {{- toYaml (include "datapowerservice.ports" . | fromJson).ports | nindent 4 }}
  resources:
    {{- include "datapowerservice.resources" . | nindent 4 }}
  livenessProbe:
    {{- include "datapowerservice.livenessProbe" . | nindent 4 }}
  readinessProbe:
    {{- include "datapowerservice.readinessProbe" . | nindent 4 }}
  {{- if .Values.readinessTimeoutSeconds }}
  startupProbe:
    {{- include "datapowerservice.startupProbe" . | nindent 4 }}
  {{- end }}
  {{- with .Values.lifecycle }}
  lifecycle:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "datapowerservice.gatewaySecurityContext" . | nindent 4 }}
  volumeMounts:
    {{- include "datapowerservice.volumeMounts" . | trim | nindent 4 }}
{{- end -}}
