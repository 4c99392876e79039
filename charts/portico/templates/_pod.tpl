{{- define "portico.image" -}}
{{- $image := .v.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.name ($image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The pod's security context. OpenShift gives each namespace users of its own and refuses others. */}}
{{- define "portico.security" -}}
{{- $context := .v.podSecurityContext | default dict -}}
{{- $is_openshift := or (.root.Capabilities.APIVersions.Has "security.openshift.io/v1") (contains "openshift" (.v.ingress.className | default "")) -}}
{{- if $is_openshift -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}
