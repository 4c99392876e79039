{{/*
The name of all objects: short enough for the endings that some get, and a name that Services may have. What has to be changed for that
ends with a digest, so that no two releases share a name.
*/}}
{{- define "portico.fullname" -}}
{{- $part := .Values.nameOverride | default .Chart.Name -}}
{{- $whole := printf "%s-%s" .Release.Name $part -}}
{{- if .Values.fullnameOverride -}}
{{- $whole = .Values.fullnameOverride -}}
{{- else if contains $part .Release.Name -}}
{{- $whole = .Release.Name -}}
{{- end -}}
{{- $name := $whole | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $name -}}{{- $name = print "gateway-" $name -}}{{- end -}}
{{- if or (ne $name $whole) (gt (len $name) 40) -}}
{{- $name = printf "%s-%s" ($name | trunc 33 | trimSuffix "-") (sha256sum $whole | trunc 6) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "portico.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
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
{{- $account.name -}}
{{- else -}}
{{- $account.name | default (include "portico.fullname" .) -}}
{{- end -}}
{{- end -}}
