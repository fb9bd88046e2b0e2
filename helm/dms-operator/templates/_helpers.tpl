{{- define "dms-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "dms-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "dms-operator.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "dms-operator.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "dms-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "dms-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "dms-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "dms-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: dms-operator
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The metadata of an object. Arguments: root, and of these what differs: name, namespace, labels, annotations. */}}
{{- define "dms-operator.metadata" -}}
{{- $annotations := merge (dict) (.annotations | default dict) .root.Values.commonAnnotations -}}
name: {{ .name | default (include "dms-operator.fullname" .root) }}
{{- if not .clusterwide }}
namespace: {{ .namespace | default .root.Release.Namespace }}
{{- end }}
labels:
  {{- include "dms-operator.labels" .root | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "dms-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "dms-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: name an account that exists, or let serviceAccount.create be true" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The reference of an image. Arguments: root, and the name of one of the images. */}}
{{- define "dms-operator.image" -}}
{{- $all := .root.Values.images }}
{{- $one := index $all .image }}
{{- $registry := $one.registry | default $all.registry | required (printf "images.registry: say where the images were pushed, such as registry.example.com/dms (images.%s.registry for this one alone)" .image) }}
{{- if $one.digest }}
{{- printf "%s/%s@%s" (trimSuffix "/" $registry) $one.repository $one.digest }}
{{- else }}
{{- printf "%s/%s:%s" (trimSuffix "/" $registry) $one.repository ($one.tag | default $all.tag | default .root.Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- define "dms-operator.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Of a pod that runs as `operator` or as `stages` say; no number: the cluster chooses. */}}
{{- define "dms-operator.podSecurityContext" -}}
runAsNonRoot: true
{{- with .runAsUser }}
runAsUser: {{ int64 . }}
{{- end }}
{{- with .runAsGroup }}
runAsGroup: {{ int64 . }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Namespaces that get a claim or a policy for stage pods, as a JSON list. Arguments: root, namespaces. */}}
{{- define "dms-operator.stageNamespaces" -}}
{{- .namespaces | default .root.Values.watchNamespaces | default (list .root.Release.Namespace) | toJson }}
{{- end }}

{{- define "dms-operator.storeClaim" -}}
{{- .Values.artifactStore.persistence.existingClaim | default (printf "%s-artifacts" (include "dms-operator.fullname" .)) }}
{{- end }}
