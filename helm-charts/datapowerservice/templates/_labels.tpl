{{/*
Labels, annotations and the metadata that all objects share.
*/}}

{{/*
Labels by which the StatefulSet and the Services find the pods. No user label can override this one, and it does not
change with the version, because a StatefulSet keeps its selector for life.
*/}}
{{- define "datapowerservice.selectorLabels" -}}
datapower.ibm.com/service: {{ include "datapowerservice.name" . | quote }}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "datapowerservice.labels" -}}
app.kubernetes.io/name: datapower
app.kubernetes.io/component: datapower
app.kubernetes.io/instance: {{ include "datapowerservice.instance" . | quote }}
app.kubernetes.io/managed-by: datapower-operator
app.kubernetes.io/version: {{ include "datapowerservice.version" . | quote }}
{{ include "datapowerservice.selectorLabels" . }}
{{- end -}}

{{/* Labels of the pods: those of every object, the user's over them, the selector's over all. */}}
{{- define "datapowerservice.podLabels" -}}
{{- $labels := include "datapowerservice.labels" . | fromYaml -}}
{{- $selector := include "datapowerservice.selectorLabels" . | fromYaml -}}
{{- range $source := list (.Values.labels | default dict) $selector -}}
{{- range $key, $value := $source -}}
{{- $_ := set $labels $key $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $labels -}}
{{- end -}}

{{/* Annotations of the pods: the defaults, the user's over them, the content hashes over all. */}}
{{- define "datapowerservice.podAnnotations" -}}
{{- $annotations := dict -}}
{{- $scrape := include "datapowerservice.snmp.annotations" . | fromYaml -}}
{{- $hashes := include "datapowerservice.hashes" . | fromYaml -}}
{{- range $source := list .Values.defaults.annotations $scrape (.Values.annotations | default dict) $hashes -}}
{{- range $key, $value := $source -}}
{{- $_ := set $annotations $key $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $annotations -}}
{{- end -}}

{{/*
Metadata of an object: name, namespace, labels.

Arguments (dict): root, name (default: the name of the service).
*/}}
{{- define "datapowerservice.metadata" -}}
name: {{ .name | default (include "datapowerservice.name" .root) | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "datapowerservice.labels" .root | nindent 2 }}
{{- end -}}
