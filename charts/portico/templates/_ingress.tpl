{{/*
Annotations for the ingress class: answers may take an hour and bodies may be large, nothing is buffered, WebSockets pass, and health is
asked where Portico answers for every host. The user's own come last and win; a blank one takes one of these away.
*/}}
{{- define "portico.ingress.annotations" -}}
{{- $v := .v -}}
{{- $class := lower ($v.ingress.className | default "") -}}
{{- $made := dict -}}
{{- if $v.ingress.defaultAnnotations -}}
{{- if contains "nginx" $class -}}
{{- $made = include "portico.ingress.nginx" . | fromYaml -}}
{{- else if contains "alb" $class -}}
{{- $made = include "portico.ingress.alb" . | fromYaml -}}
{{- else if contains "haproxy" $class -}}
{{- $made = include "portico.ingress.haproxy" . | fromYaml -}}
{{- else if contains "contour" $class -}}
{{- $made = include "portico.ingress.contour" . | fromYaml -}}
{{- else if or (contains "openshift" $class) (and (not $class) (.root.Capabilities.APIVersions.Has "route.openshift.io/v1")) -}}
{{- $made = include "portico.ingress.openshift" . | fromYaml -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $v.ingress.annotations -}}
{{- if $value -}}{{- $_ := set $made $name $value -}}{{- else -}}{{- $_ := unset $made $name -}}{{- end -}}
{{- end -}}
{{- $made | toJson -}}
{{- end -}}

{{/* Both controllers of this name: each ignores the other's. */}}
{{- define "portico.ingress.nginx" -}}
nginx.ingress.kubernetes.io/proxy-body-size: "0"
nginx.ingress.kubernetes.io/proxy-buffering: "off"
nginx.ingress.kubernetes.io/proxy-request-buffering: "off"
nginx.ingress.kubernetes.io/proxy-http-version: "1.1"
nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
nginx.ingress.kubernetes.io/proxy-send-timeout: "3600"
nginx.org/client-max-body-size: "0"
nginx.org/proxy-buffering: "false"
nginx.org/proxy-read-timeout: "1h"
nginx.org/proxy-send-timeout: "1h"
nginx.org/websocket-services: {{ .services | quote }}
{{- end -}}

{{- define "portico.ingress.alb" -}}
alb.ingress.kubernetes.io/target-type: ip
alb.ingress.kubernetes.io/healthcheck-path: /_gateway/health
# The console has no path for health, and one annotation is for both hosts.
alb.ingress.kubernetes.io/success-codes: {{ ternary "200-499" "200" (not (empty .v.console.hostName)) | quote }}
alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds=3600
alb.ingress.kubernetes.io/target-group-attributes: deregistration_delay.timeout_seconds=3600
{{- if eq .v.urlScheme "https" }}
alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'
alb.ingress.kubernetes.io/ssl-redirect: "443"
{{- end }}
{{- end -}}

{{/* Both controllers of this name, too. */}}
{{- define "portico.ingress.haproxy" -}}
{{- if not .v.console.hostName }}
haproxy.org/check-http: /_gateway/health
haproxy-ingress.github.io/health-check-uri: /_gateway/health
{{- end }}
haproxy.org/timeout-server: 1h
haproxy.org/timeout-tunnel: 1h
haproxy-ingress.github.io/proxy-body-size: unlimited
haproxy-ingress.github.io/timeout-server: 1h
haproxy-ingress.github.io/timeout-tunnel: 1h
{{- end -}}

{{- define "portico.ingress.contour" -}}
projectcontour.io/response-timeout: infinity
projectcontour.io/websocket-routes: /
{{- end -}}

{{- define "portico.ingress.openshift" -}}
haproxy.router.openshift.io/disable_cookies: "true"
haproxy.router.openshift.io/timeout: 1h
haproxy.router.openshift.io/timeout-tunnel: 1h
{{- if eq .v.urlScheme "https" }}
route.openshift.io/termination: edge
{{- end }}
{{- end -}}
