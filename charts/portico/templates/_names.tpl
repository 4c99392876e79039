{{/* The name of all objects: short enough for the endings that some get. */}}
{{- define "portico.fullname" -}}
{{- $part := .Values.nameOverride | default .Chart.Name -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $part .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $part | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "portico.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "portico.labels" -}}
{{ include "portico.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/*
The Secrets that hold the gateway's state, which are made empty and which the gateway fills: the keys that seal sessions, the last
observation, the leases of public ports, and everything else.
*/}}
{{- define "portico.state" -}}
session-keys observation leases state
{{- end -}}

{{/* The namespace whose pods are served. */}}
{{- define "portico.workloads" -}}
{{- .Values.workloadNamespace | default .Release.Namespace -}}
{{- end -}}

{{- define "portico.account" -}}
{{- $account := .Values.serviceAccount | default dict -}}
{{- if eq (toString $account.create) "false" -}}
{{- $account.name | default "default" -}}
{{- else -}}
{{- $account.name | default (include "portico.fullname" .) -}}
{{- end -}}
{{- end -}}
