{{/*
What `config` or a variable in `router.extraEnvs` says otherwise than objects that are made from other values: Services, Roles and labels
would lead to something that is not there. As a JSON list.
*/}}
{{- define "portico.mistakes.contradictions" -}}
{{- $v := .v -}}
{{- $streams := $v.streamSession -}}
{{- $address := "" -}}
{{- $start := "" -}}
{{- $end := "" -}}
{{- if $streams.enabled -}}
{{- $address = $streams.routerAddress -}}
{{- $start = $streams.portRange.start -}}
{{- $end = $streams.portRange.end -}}
{{- end -}}
{{- $name := include "portico.fullname" .root -}}
{{- $socket := "/run/portico/control.sock" -}}
{{- $made := list
  (dict "path" "gateway.name" "is" .root.Release.Name "instead" "set the release name instead" "variables" (list "ROUTER_NAME"))
  (dict "path" "gateway.url" "is" $v.url "instead" "set externalURL instead" "variables" (list "ROUTER_URL"))
  (dict "path" "console.url" "is" $v.console.url "instead" "set console.url instead" "variables" list)
  (dict "path" "discovery.kind" "is" "kubernetes" "instead" "leave it out; it is kubernetes here" "variables" list)
  (dict "path" "discovery.kubernetes.namespace" "is" (include "portico.workloads" .root) "instead" "set workloadNamespace instead" "variables" list)
  (dict "path" "discovery.kubernetes.lease" "is" $name "instead" "set fullnameOverride instead" "variables" list)
  (dict "path" "state.kind" "is" "kubernetes" "instead" "leave it out; it is kubernetes here" "variables" list)
  (dict "path" "state.kubernetes.namespace" "is" .root.Release.Namespace "instead" "set the release's namespace instead (helm's --namespace)" "variables" list)
  (dict "path" "state.kubernetes.secret" "is" $name "instead" "set fullnameOverride instead" "variables" list)
  (dict "path" "control.socket" "is" $socket "instead" (printf "leave it out; it is %s here" $socket) "variables" (list "PORTICO_CONTROL_SOCKET"))
  (dict "path" "" "is" "/etc/portico/portico.yaml" "instead" "write settings in config instead" "variables" (list "PORTICO_CONFIG"))
  (dict "path" "streams.external_url" "is" $address "instead" "set streamSession.routerAddress instead" "variables" (list "ROUTER__STREAM__EXTERNAL_URL" "STREAM_ROUTER_ADDRESS" "TCP_ROUTER_ADDRESS"))
  (dict "path" "streams.port_range.start" "is" $start "instead" "set streamSession.portRange instead" "variables" (list "ROUTER__STREAM__PORT_RANGE__START" "STREAM_PORT_START" "TCP_PORT_START"))
  (dict "path" "streams.port_range.end" "is" $end "instead" "set streamSession.portRange instead" "variables" (list "ROUTER__STREAM__PORT_RANGE__END" "STREAM_PORT_END" "TCP_PORT_END"))
-}}
{{- $m := list -}}
{{- range $one := $made -}}
{{- range $said := include "portico.said" (dict "v" $v "path" $one.path "variables" $one.variables) | fromJsonArray -}}
{{- if ne (trimSuffix "/" (toString $said.value)) (toString $one.is) -}}
{{- $m = append $m (printf "%s contradicts objects that the chart makes: %s" $said.where $one.instead) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $listeners := list
  (dict "path" "http.listen" "port" "8080" "variables" (list "ROUTER__WEBSERVER__SERVER_PORT"))
  (dict "path" "console.listen" "port" "8012" "variables" list)
  (dict "path" "operations.listen" "port" "8013" "variables" list)
-}}
{{- range $one := $listeners -}}
{{- range $said := include "portico.said" (dict "v" $v "path" $one.path "variables" $one.variables) | fromJsonArray -}}
{{- /* Another address of the same port, such as IPv6's, contradicts nothing. */ -}}
{{- $addresses := $said.value -}}
{{- if not (kindIs "slice" $addresses) -}}{{- $addresses = splitList "," (toString $addresses) -}}{{- end -}}
{{- $is_led_to := false -}}
{{- range $addresses -}}
{{- $address := toString . | trim -}}
{{- $is_loopback := regexMatch "^(127\\.|\\[::1\\])" $address -}}
{{- if and (regexMatch (printf "(^|:)%s$" $one.port) $address) (not $is_loopback) -}}{{- $is_led_to = true -}}{{- end -}}
{{- end -}}
{{- if not $is_led_to -}}
{{- $m = append $m (printf "%s contradicts objects that the chart makes, which lead to port %s: leave it out" $said.where $one.port) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $m | toJson -}}
{{- end -}}

{{/* Where a setting is said, and as what: in `config`, and in each variable that means the same. As a JSON list. */}}
{{- define "portico.said" -}}
{{- $said := list -}}
{{- $found := include "portico.get" (dict "given" .v.config "path" .path) | fromJson -}}
{{- if and (hasKey $found "value") (not (kindIs "invalid" $found.value)) -}}
{{- $said = append $said (dict "where" (print "config." .path) "value" $found.value) -}}
{{- end -}}
{{- $names := append .variables (print "PORTICO__" (.path | upper | replace "." "__")) -}}
{{- range .v.router.extraEnvs -}}
{{- if has .name $names -}}
{{- $where := print .name " in router.extraEnvs" -}}
{{- if .valueFrom -}}
{{- $said = append $said (dict "where" $where "value" "what is not known here") -}}
{{- else if toString (.value | default "") | trimAll "\"' " -}}
{{- $said = append $said (dict "where" $where "value" (toString .value | trimAll "\"' ")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $said | toJson -}}
{{- end -}}
