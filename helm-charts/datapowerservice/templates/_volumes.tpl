{{/*
Volumes of the pods: the input of the init script, the executables of spec.extraExe, the user's storage.

Paths and volume names of the input are made of positions in the spec, never of names that a user chose.
*/}}

{{/* Folder in the container that holds the input of the init script. files/init.sh has the same default. */}}
{{- define "datapowerservice.inputRoot" -}}
/opt/datapower-operator
{{- end -}}

{{/*
The input of the init script, as JSON {"inputs": [{"path", "secret" or "configMap"}]}. The path is below inputRoot; the
volume is named after it.
*/}}
{{- define "datapowerservice.inputs" -}}
{{- $root := . -}}
{{- $inputs := list
      (dict "path" "init" "configMap" (include "datapowerservice.initName" .))
      (dict "path" "user-commands" "configMap" (include "datapowerservice.userCommandsName" .)) -}}
{{- range $i, $user := (include "datapowerservice.users" . | fromJson).users -}}
{{- $inputs = append $inputs (dict "path" (printf "user/%d" $i) "secret" $user.passwordSecret) -}}
{{- end -}}
{{- range $i, $domain := .Values.domains -}}
{{- $path := printf "domain/%d" $i -}}
{{- range $j, $cert := $domain.certs -}}
{{- $inputs = append $inputs (dict "path" (printf "%s/cert/%d" $path $j) "secret" $cert.secret) -}}
{{- end -}}
{{- range $j, $name := ($domain.dpApp).config -}}
{{- $inputs = append $inputs (dict "path" (printf "%s/config/%d" $path $j) "configMap" $name) -}}
{{- end -}}
{{- range $j, $name := ($domain.dpApp).local -}}
{{- $inputs = append $inputs (dict "path" (printf "%s/local/%d" $path $j) "configMap" $name) -}}
{{- end -}}
{{- with include "datapowerservice.domain.passphraseSecret" (dict "root" $root "domain" $domain) -}}
{{- $inputs = append $inputs (dict "path" (printf "%s/passphrase" $path) "secret" .) -}}
{{- end -}}
{{- range $j, $entry := $domain.passwordMap -}}
{{- $secret := include "datapowerservice.domain.passwordSecret" (dict "root" $root "domain" $domain "entry" $entry) -}}
{{- $inputs = append $inputs (dict "path" (printf "%s/password/%d" $path $j) "secret" $secret) -}}
{{- end -}}
{{- end -}}
{{- dict "inputs" $inputs | toJson -}}
{{- end -}}

{{/* Name of the volume of an input. Argument: its path. */}}
{{- define "datapowerservice.inputVolume" -}}
input-{{ replace "/" "-" . }}
{{- end -}}

{{/* All volumes of a pod except the volume claims, as a YAML list. */}}
{{- define "datapowerservice.volumes" -}}
{{- range (include "datapowerservice.inputs" . | fromJson).inputs }}
- name: {{ include "datapowerservice.inputVolume" .path }}
  {{- if .secret }}
  secret:
    secretName: {{ .secret | quote }}
    {{- /* 0440 where the volumes have a group, through which the gateway reads them; else 0444. */}}
    defaultMode: {{ ternary 288 292 (not (empty $.Values.securityContext.fsGroup)) }}
  {{- else }}
  configMap:
    name: {{ .configMap | quote }}
  {{- end }}
{{- end }}
{{- with .Values.extraExe }}
- name: extra-exe
  projected:
    {{- /* 0555 */}}
    defaultMode: 365
    sources:
      {{- range . }}
      - configMap:
          name: {{ . | quote }}
      {{- end }}
{{- end }}
{{- range .Values.storage }}
{{- if eq .type "ephemeral" }}
- name: {{ include "datapowerservice.volumeName" .path }}
  {{- with .size }}
  emptyDir:
    sizeLimit: {{ include "datapowerservice.quantity" . | quote }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end }}
{{- end }}
{{- include "datapowerservice.snmp.volumes" . }}
{{- end -}}

{{/* Volume mounts of the gateway's container, as a YAML list. */}}
{{- define "datapowerservice.volumeMounts" -}}
{{- $inputRoot := include "datapowerservice.inputRoot" . -}}
{{- range (include "datapowerservice.inputs" . | fromJson).inputs }}
- name: {{ include "datapowerservice.inputVolume" .path }}
  mountPath: {{ $inputRoot }}/{{ .path }}
  readOnly: true
{{- end }}
{{- with .Values.extraExe }}
- name: extra-exe
  mountPath: /usr/local/extra
  readOnly: true
{{- end }}
{{- range .Values.storage }}
- name: {{ include "datapowerservice.volumeName" .path }}
  mountPath: {{ .path | quote }}
{{- end }}
{{- end -}}

{{/*
Volume claim templates, as a YAML list. They carry no labels: a StatefulSet keeps them unchanged for life, and the
version is among the labels.
*/}}
{{- define "datapowerservice.volumeClaimTemplates" -}}
{{- range .Values.storage }}
{{- if eq .type "persistent" }}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata:
    name: {{ include "datapowerservice.volumeName" .path }}
  spec:
    accessModes:
      - ReadWriteOnce
    volumeMode: Filesystem
    {{- with .class }}
    storageClassName: {{ . | quote }}
    {{- end }}
    {{- with .selector }}
    selector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    resources:
      requests:
        storage: {{ include "datapowerservice.quantity" .size | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
What becomes of the claims when the service is deleted: Delete only when every persistent entry asks for it, because
the StatefulSet has one switch for all of them and data that nobody gave up must stay.
*/}}
{{- define "datapowerservice.claimsWhenDeleted" -}}
{{- $when := "Delete" -}}
{{- range .Values.storage -}}
{{- if and (eq .type "persistent") (not .deleteClaim) -}}
{{- $when = "Retain" -}}
{{- end -}}
{{- end -}}
{{- $when -}}
{{- end -}}
