{{/* The operator's settings file (operator/dms_operator/controller/settings.py). */}}
{{- define "dms-operator.settings" -}}
{{- $stages := .Values.stages }}
{{- $images := include "dms-operator.settings.images" . | fromYaml }}
{{- $settings := dict "images" $images "imagePullPolicy" .Values.images.pullPolicy "fileRoots" $stages.fileRoots "backoffLimit" $stages.backoffLimit }}
{{- $optional := dict
  "imagePullPolicies" (include "dms-operator.settings.pullPolicies" . | fromYaml)
  "imagePullSecrets" .Values.images.pullSecrets
  "env" (mergeOverwrite (include "dms-operator.settings.env" . | fromYaml) .Values.stages.env)
  "volumes" (include "dms-operator.settings.volumes" . | fromYamlArray)
  "storeSecret" .Values.artifactStore.s3.secretName
  "serviceAccount" $stages.serviceAccountName
  "podLabels" $stages.podLabels
  "podAnnotations" $stages.podAnnotations
  "priorityClass" $stages.priorityClassName
  "affinity" $stages.affinity
  "resources" $stages.resources
  "nodeSelectors" $stages.nodeSelectors
  "tolerations" $stages.tolerations
  "deadlines" $stages.deadlines
  "scratchLimit" $stages.scratchLimit
  "logFormat" $stages.logFormat
}}
{{- with $stages.signing.secretName }}
{{- $_ := set $settings "signing" (dict "secret" . "privateKey" $stages.signing.privateKey "publicKey" $stages.signing.publicKey) }}
{{- end }}
{{- if .Values.fleet.volume }}
{{- $fleet := dict "volume" .Values.fleet.volume "queries" .Values.fleet.queries }}
{{- with .Values.fleet.prometheus }}
{{- $_ := set $fleet "prometheus" . }}
{{- end }}
{{- $_ := set $settings "fleet" $fleet }}
{{- end }}
{{- with .Values.tracing.endpoint }}
{{- $_ := set $settings "tracing" (dict "endpoint" .) }}
{{- end }}
{{- range $name, $value := $optional }}
{{- if $value }}
{{- $_ := set $settings $name $value }}
{{- end }}
{{- end }}
{{- $runAs := dict "user" nil "group" nil }}
{{- with $stages.runAsUser }}
{{- $_ := set $runAs "user" (int64 .) }}
{{- end }}
{{- with $stages.runAsGroup }}
{{- $_ := set $runAs "group" (int64 .) }}
{{- end }}
{{- $_ := set $settings "runAs" $runAs }}
{{- toYaml $settings }}
{{- end }}

{{- define "dms-operator.settings.images" -}}
{{- $quantizer := include "dms-operator.image" (dict "root" . "image" "quantizer") }}
{{- $runner := include "dms-operator.image" (dict "root" . "image" "benchmarkRunner") }}
resolve: {{ $quantizer }}
quantize: {{ $quantizer }}
convert:
  onnxruntime: {{ $runner }}
  {{- range $image, $toolchain := include "dms-operator.converters" . | fromYaml }}
  {{ $toolchain }}: {{ include "dms-operator.image" (dict "root" $ "image" $image) }}
  {{- end }}
benchmark:
  onnxruntime: {{ $runner }}
  {{- range $toolchain := include "dms-operator.converters" . | fromYaml }}
  {{ $toolchain }}: {{ $runner }}
  {{- end }}
{{- end }}

{{/* The converters that are in use, each with the toolchain that it holds. */}}
{{- define "dms-operator.converters" -}}
{{- range $image, $toolchain := dict "converterQnn" "qnn" "converterSnpe" "snpe-sdk" "converterTidl" "tidl" }}
{{- if (index $.Values.images $image).enabled }}
{{ $image }}: {{ $toolchain }}
{{- end }}
{{- end }}
{{- end }}

{{- define "dms-operator.settings.pullPolicies" -}}
{{- range $image := concat (list "quantizer" "benchmarkRunner") (include "dms-operator.converters" . | fromYaml | keys) }}
{{- with (index $.Values.images $image).pullPolicy }}
{{ include "dms-operator.image" (dict "root" $ "image" $image) }}: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "dms-operator.settings.env" -}}
{{- $proxy := .Values.stages.proxy }}
{{- with $proxy.http }}
HTTP_PROXY: {{ . | quote }}
http_proxy: {{ . | quote }}
{{- end }}
{{- with $proxy.https }}
HTTPS_PROXY: {{ . | quote }}
https_proxy: {{ . | quote }}
{{- end }}
{{- with $proxy.noProxy }}
NO_PROXY: {{ . | quote }}
no_proxy: {{ . | quote }}
{{- end }}
{{- if or $proxy.http $proxy.https }}
{{- /* The client of gs:// looks at these variables only when told to. */}}
FSSPEC_GS: {{ dict "session_kwargs" (dict "trust_env" true) | toJson | quote }}
{{- end }}
{{- with .Values.artifactStore.s3.endpointUrl }}
AWS_ENDPOINT_URL_S3: {{ . | quote }}
{{- end }}
{{- with .Values.artifactStore.s3.region }}
AWS_DEFAULT_REGION: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "dms-operator.settings.volumes" -}}
{{- with .Values.artifactStore.persistence }}
{{- if .enabled }}
- name: artifacts
  mountPath: {{ .mountPath }}
  source: {persistentVolumeClaim: {claimName: {{ include "dms-operator.storeClaim" $ }}}}
{{- end }}
{{- end }}
{{- with .Values.stages.volumes }}
{{- range . }}
{{- if and $.Values.artifactStore.persistence.enabled (or (eq .name "artifacts") (eq .mountPath $.Values.artifactStore.persistence.mountPath)) }}
{{- fail (printf "stages.volumes: %s at %s is taken by artifactStore.persistence" .name .mountPath) }}
{{- end }}
{{- end }}
{{ toYaml . }}
{{- end }}
{{- end }}
