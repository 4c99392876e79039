{{/* What a Service says about the way from outside; only what its type knows. */}}
{{- define "portico.service.outside" -}}
{{- $type := .type | default "ClusterIP" -}}
{{- $said := dict -}}
{{- if eq $type "LoadBalancer" -}}
{{- range $name := list "loadBalancerClass" "loadBalancerSourceRanges" -}}
{{- with index $ $name -}}{{- $_ := set $said $name . -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (ne $type "ClusterIP") .externalTrafficPolicy -}}
{{- $_ := set $said "externalTrafficPolicy" .externalTrafficPolicy -}}
{{- end -}}
{{- if $said -}}{{ toYaml $said }}{{- end -}}
{{- end -}}
