{{/*
Portico's configuration file. What the user writes in `config` comes over it, and variables of the container (`router.extraEnvs`) come
over both.
*/}}
{{- define "portico.config" -}}
{{- $v := .v -}}
{{- $name := include "portico.fullname" .root -}}
{{- $clearml := dict
  "api_host" (trimSuffix "/" $v.clearml.apiServerUrlReference)
  "access_key_file" "/etc/portico/clearml/access-key"
  "secret_key_file" "/etc/portico/clearml/secret-key"
-}}
{{- with $v.clearml.authCookieName }}{{ $_ := set $clearml "auth_cookie_name" . }}{{ end -}}
{{- with $v.clearml.webUrl }}{{ $_ := set $clearml "web_url" . }}{{ end -}}
{{- if eq (toString $v.clearml.sslVerify) "false" }}{{ $_ := set $clearml "verify_tls" false }}{{ end -}}
{{- if or $v.customCertificates.extraCerts $v.customCertificates.existingConfigMap -}}
{{- $_ := set $clearml "ca_bundle" "/etc/portico/certificates/ca.crt" -}}
{{- end -}}
{{- $config := dict
  "gateway" (dict "name" .root.Release.Name "url" $v.url)
  "clearml" $clearml
  "discovery" (dict "kind" "kubernetes" "kubernetes" (dict "namespace" (include "portico.workloads" .root) "lease" $name))
  "state" (dict "kind" "kubernetes" "kubernetes" (dict "namespace" .root.Release.Namespace "secret" $name))
  "control" (dict "socket" "/run/portico/control.sock")
  "shutdown" (dict
    "delay" (printf "%ds" (int $v.shutdown.delaySeconds))
    "grace" (printf "%ds" (int $v.shutdown.graceSeconds))
    "stream_grace" (printf "%ds" (int $v.shutdown.streamGraceSeconds))
  )
-}}
{{- $proxies := $v.trustedProxies -}}
{{- if and (kindIs "invalid" $proxies) (or $v.ingress.enabled $v.httpRoute.enabled) -}}
{{- $proxies = list "10.0.0.0/8" "172.16.0.0/12" "192.168.0.0/16" "100.64.0.0/10" "fc00::/7" -}}
{{- end -}}
{{- with $proxies }}{{ $_ := set $config "http" (dict "trusted_proxies" .) }}{{ end -}}
{{- with $v.console.url }}{{ $_ := set $config "console" (dict "url" .) }}{{ end -}}
{{- if $v.streamSession.enabled -}}
{{- $_ := set $config "streams" (dict
  "external_url" $v.streamSession.routerAddress
  "port_range" (dict "start" (int $v.streamSession.portRange.start) "end" (int $v.streamSession.portRange.end))
) -}}
{{- end -}}
{{- mergeOverwrite $config $v.config | toYaml -}}
{{- end -}}
