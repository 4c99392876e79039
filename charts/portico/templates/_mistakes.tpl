{{/* What contradicts itself or is missing, each with what to write instead, as a JSON list. */}}
{{- define "portico.mistakes" -}}
{{- $v := .v -}}
{{- $root := .root -}}
{{- $m := list -}}
{{- $m = concat $m (include "portico.mistakes.clearml" $v | fromJsonArray) -}}
{{- $m = concat $m (include "portico.mistakes.url" $v | fromJsonArray) -}}
{{- $m = concat $m (include "portico.mistakes.ports" (dict "v" $v "root" $root) | fromJsonArray) -}}
{{- $m = concat $m (include "portico.mistakes.streams" $v | fromJsonArray) -}}
{{- $m = concat $m (include "portico.mistakes.contradictions" (dict "v" $v "root" $root) | fromJsonArray) -}}
{{- $m = concat $m (include "portico.mistakes.shutdown" $v | fromJsonArray) -}}
{{- $m = concat $m (include "portico.mistakes.open" $v | fromJsonArray) -}}
{{- if and (not $v.serviceAccount.create) (eq ($v.serviceAccount.name | default "default") "default") -}}
{{- $m = append $m (printf "serviceAccount.create is false and serviceAccount.name is %s: the account \"default\", which other pods of the namespace have, would get the gateway's rights; set serviceAccount.name to an account of the gateway's own" ($v.serviceAccount.name | default "blank")) -}}
{{- end -}}
{{- $name := include "portico.fullname" $root -}}
{{- if or (not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name)) (has $name (list "true" "false" "yes" "no" "on" "off" "null" "y" "n")) -}}
{{- $m = append $m (printf "%s makes %q the name of all objects: use lower-case letters, digits and dashes, with a letter first" (ternary "fullnameOverride" "nameOverride" (not (empty $root.Values.fullnameOverride))) $name) -}}
{{- end -}}
{{- if and $v.imageCredentials.password $v.imageCredentials.registry (not $v.imageCredentials.username) (not $v.pullSecrets) -}}
{{- $m = append $m "imageCredentials.password has no user name: set imageCredentials.username, or name a Secret in imageCredentials.existingImagePullSecrets" -}}
{{- end -}}
{{- $certificates := $v.customCertificates -}}
{{- $forms := list -}}
{{- range $form := list "overrideCaCertificatesCrt" "extraCerts" "existingConfigMap" -}}
{{- if index $certificates $form -}}{{- $forms = append $forms (print "customCertificates." $form) -}}{{- end -}}
{{- end -}}
{{- if gt (len $forms) 1 -}}
{{- $m = append $m (printf "%s exclude each other: keep overrideCaCertificatesCrt to trust nobody else, or one of the others to trust further authorities" (join " and " $forms)) -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) -}}
{{- $m = append $m "httpRoute.enabled needs a Gateway: set httpRoute.parentRefs, for example [{name: my-gateway, namespace: gateways}]" -}}
{{- end -}}
{{- $m | toJson -}}
{{- end -}}

{{- define "portico.mistakes.clearml" -}}
{{- $clearml := .clearml -}}
{{- $m := list -}}
{{- if and $clearml.existingSecret (or $clearml.apiKey $clearml.apiSecret) -}}
{{- $m = append $m "clearml.existingSecret and clearml.apiKey exclude each other: leave clearml.apiKey and clearml.apiSecret blank, or existingSecret" -}}
{{- else if not $clearml.existingSecret -}}
{{- range $name := list "apiKey" "apiSecret" -}}
{{- if not (index $clearml $name) -}}
{{- $m = append $m (printf "clearml.%s is blank: create credentials in ClearML (Settings, Workspace) and set clearml.apiKey and clearml.apiSecret, or clearml.existingSecret" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $clearml.apiServerUrlReference -}}
{{- $m = append $m "clearml.apiServerUrlReference is blank: set the ClearML API server's URL, for example https://api.clearml.example.com" -}}
{{- else if not (regexMatch "^https?://[^/?#@]+(/[^?#@]*)?$" $clearml.apiServerUrlReference) -}}
{{- $m = append $m (printf "clearml.apiServerUrlReference is %q: set a URL, for example https://api.clearml.example.com" $clearml.apiServerUrlReference) -}}
{{- end -}}
{{- $m | toJson -}}
{{- end -}}

{{- define "portico.mistakes.url" -}}
{{- $m := list -}}
{{- if not .url -}}
{{- $what := "set externalURL, for example https://gateway.example.com" -}}
{{- if .ingress.enabled -}}{{- $what = "set ingress.hostName, or externalURL" -}}{{- end -}}
{{- $m = append $m (printf "the gateway has no URL: %s" $what) -}}
{{- else if not .urlScheme -}}
{{- $m = append $m (printf "externalURL is %q: write scheme, host and port and nothing else, for example https://gateway.example.com or http://10.0.0.5:30080" .url) -}}
{{- else -}}
{{- if or .ingress.enabled .httpRoute.enabled -}}
{{- if and .ingress.hostName (ne .ingress.hostName .urlHost) -}}
{{- $m = append $m (printf "ingress.hostName is %s and externalURL's host is %s: visitors would be sent to another host than they asked for; write the same host in both, or leave one blank" .ingress.hostName .urlHost) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .urlScheme "http") .ingress.enabled .ingress.tlsSecretName -}}
{{- $m = append $m (printf "ingress.tlsSecretName is set and externalURL begins with http://: write https://%s" .urlHost) -}}
{{- end -}}
{{- if eq .urlScheme "http" -}}
{{- $secure := include "portico.secure" . -}}
{{- if $secure -}}
{{- $m = append $m (printf "%s is true, and browsers never send a Secure cookie back over http://: set it to \"false\", or use https:// in externalURL" $secure) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .console.url (not .consoleScheme) -}}
{{- $m = append $m (printf "console.url is %q: write scheme, host and port and nothing else, for example https://console.example.com" .console.url) -}}
{{- end -}}
{{- if and .console.url (eq .console.url .url) -}}
{{- $m = append $m (printf "the console and the gateway have one URL, %s: choose another host for the console, or leave console.hostName and console.url blank" .url) -}}
{{- else if .console.leadsNowhere -}}
{{- $port := ternary 30081 8012 (eq (.service.type | default "") "NodePort") -}}
{{- $m = append $m (printf "console.hostName is %s, and there is no Ingress and no HTTPRoute that could lead it to the console: set console.url to the address with its port, for example %s://%s:%d" .console.hostName (.urlScheme | default "https") .console.hostName $port) -}}
{{- end -}}
{{- $m | toJson -}}
{{- end -}}

{{/* Which setting demands Secure cookies, if one does. */}}
{{- define "portico.secure" -}}
{{- $names := list "ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE" "AUTH_SECURE_ENABLED" "PORTICO__SESSION__COOKIE_SECURE" -}}
{{- $found := list -}}
{{- range .router.extraEnvs -}}
{{- if and (has .name $names) (has (lower (toString .value | trimAll "\"'")) (list "true" "yes" "1" "on")) -}}
{{- $found = append $found (print .name " in router.extraEnvs") -}}
{{- end -}}
{{- end -}}
{{- if eq (toString (dig "session" "cookie_secure" "" .config)) "true" -}}
{{- $found = append $found "session.cookie_secure in config" -}}
{{- end -}}
{{- first $found | default "" -}}
{{- end -}}

{{/* Node ports of the HTTP Service. */}}
{{- define "portico.mistakes.ports" -}}
{{- $v := .v -}}
{{- $m := list -}}
{{- $pattern := "^([0-9]{1,5})-([0-9]{1,5})$" -}}
{{- $range := $v.nodePortRange | default "30000-32767" -}}
{{- if not (regexMatch $pattern $range) -}}
{{- $m = append $m (printf "nodePortRange is %q: write the first and the last port, for example 30000-32767" $range) -}}
{{- else -}}
{{- $least := regexReplaceAll $pattern $range "${1}" | atoi -}}
{{- $most := regexReplaceAll $pattern $range "${2}" | atoi -}}
{{- $taken := dict -}}
{{- if eq ($v.service.type | default "") "NodePort" -}}
{{- range $name, $port := dict "service.nodePort" $v.service.nodePort "console.nodePort" $v.console.nodePort -}}
{{- if $port -}}
{{- $_ := set $taken $name (int $port) -}}
{{- if or (lt (int $port) $least) (gt (int $port) $most) -}}
{{- $from := "" -}}
{{- if not (index (ternary $.root.Values.service $.root.Values.console (hasPrefix "service" $name) | default dict) "nodePort") -}}
{{- $from = printf ", taken from %s" (ternary "externalURL" "console.url" (hasPrefix "service" $name)) -}}
{{- end -}}
{{- $m = append $m (printf "%s is %d%s, outside of the cluster's node ports %s: set %s to one of those (and nodePortRange, if the cluster has others)" $name (int $port) $from $range $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $v.service.nodePort $v.console.nodePort (eq (int $v.service.nodePort) (int $v.console.nodePort)) -}}
{{- $m = append $m (printf "service.nodePort and console.nodePort are both %d: choose another for the console" (int $v.service.nodePort)) -}}
{{- end -}}
{{- end -}}
{{- $streams := $v.streamSession -}}
{{- if and $streams.enabled (eq $streams.service.type "NodePort") -}}
{{- $start := int $streams.portRange.start -}}
{{- $end := int $streams.portRange.end -}}
{{- if or (lt $start $least) (gt $end $most) -}}
{{- $m = append $m (printf "streamSession.portRange is %d to %d, outside of the cluster's node ports %s, and with service.type NodePort clients dial exactly these ports: choose a range inside (and nodePortRange, if the cluster has another), or streamSession.service.type LoadBalancer" $start $end $range) -}}
{{- end -}}
{{- range $name, $port := $taken -}}
{{- if and (ge $port $start) (le $port $end) -}}
{{- $m = append $m (printf "%s %d lies in streamSession.portRange, %d to %d: choose a port outside, or another range" $name $port $start $end) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- /* Only a cluster answers this; rendering without one finds nothing. */ -}}
{{- range $service := (lookup "v1" "Service" $.root.Release.Namespace "").items -}}
{{- $release := index (($service.metadata).annotations | default dict) "meta.helm.sh/release-name" | default "" -}}
{{- if ne $release $.root.Release.Name -}}
{{- $whose := printf "Service %s%s" $service.metadata.name (ternary (printf " of release %s" $release) "" (ne $release "")) -}}
{{- $clash := list -}}
{{- range $port := $service.spec.ports -}}
{{- if $port.nodePort -}}
{{- if and $streams.enabled (eq $streams.service.type "NodePort") (ge (int $port.nodePort) (int $streams.portRange.start)) (le (int $port.nodePort) (int $streams.portRange.end)) -}}
{{- $clash = append $clash (int $port.nodePort | toString) -}}
{{- end -}}
{{- range $name, $own := $taken -}}
{{- if eq (int $own) (int $port.nodePort) -}}
{{- $m = append $m (printf "%s is %d, which %s has: choose another one" $name (int $own) $whose) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $clash -}}
{{- $m = append $m (printf "streamSession.portRange is %d to %d, but %s has node port %s: choose another range" (int $streams.portRange.start) (int $streams.portRange.end) $whose (join ", " $clash)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $m | toJson -}}
{{- end -}}

{{/* Networks that only a load balancer would keep out. */}}
{{- define "portico.mistakes.open" -}}
{{- $m := list -}}
{{- $type := .service.type | default "ClusterIP" -}}
{{- if and .service.loadBalancerSourceRanges (ne $type "LoadBalancer") -}}
{{- $m = append $m (printf "service.loadBalancerSourceRanges does nothing with service.type %s, and the port would be open to everybody: set service.type to LoadBalancer, or leave it out and say in networkPolicy.from who may come" $type) -}}
{{- end -}}
{{- $streams := .streamSession -}}
{{- if and $streams.enabled $streams.service.loadBalancerSourceRanges (ne $streams.service.type "LoadBalancer") -}}
{{- $m = append $m (printf "streamSession.service.loadBalancerSourceRanges does nothing with streamSession.service.type %s, and the ports would be open to everybody: set streamSession.service.type to LoadBalancer, or leave it out and set config.streams.admission to networks and config.streams.allowed_sources to these networks" $streams.service.type) -}}
{{- end -}}
{{- $m | toJson -}}
{{- end -}}

{{- define "portico.mistakes.streams" -}}
{{- $streams := .streamSession -}}
{{- $m := list -}}
{{- $start := $streams.portRange.start -}}
{{- $end := $streams.portRange.end -}}
{{- if and $start (not $end) -}}
{{- $m = append $m (printf "streamSession.portRange.start is %d and end is blank: set the end, or leave both blank for no TCP endpoints" (int $start)) -}}
{{- else if and $end (not $start) -}}
{{- $m = append $m (printf "streamSession.portRange.end is %d and start is blank: set the start, or leave both blank for no TCP endpoints" (int $end)) -}}
{{- else if $streams.enabled -}}
{{- $count := int $streams.count -}}
{{- if lt $count 1 -}}
{{- $m = append $m (printf "streamSession.portRange starts at %d and ends at %d: the end must not come before the start" (int $start) (int $end)) -}}
{{- else if and (gt $count 500) (not $streams.allowManyPorts) -}}
{{- $m = append $m (printf "streamSession.portRange has %d ports, and each is a rule on every node of the cluster: choose at most 500, or set streamSession.allowManyPorts to true" $count) -}}
{{- else if and (gt $count 50) (eq $streams.service.type "LoadBalancer") (not $streams.allowManyPorts) -}}
{{- $m = append $m (printf "streamSession.portRange has %d ports, and most clouds give a load balancer at most 50: choose at most 50, or set streamSession.allowManyPorts to true if yours gives more" $count) -}}
{{- end -}}
{{- if lt (int $start) 1024 -}}
{{- $m = append $m (printf "streamSession.portRange.start is %d, and ports below 1024 need rights that the gateway does not have: choose a higher one" (int $start)) -}}
{{- end -}}
{{- range $port := list 8080 8012 8013 -}}
{{- if and (ge $port (int $start)) (le $port (int $end)) -}}
{{- $m = append $m (printf "streamSession.portRange holds %d, on which the gateway itself listens: choose another range" $port) -}}
{{- end -}}
{{- end -}}
{{- if not $streams.routerAddress -}}
{{- $m = append $m "streamSession.routerAddress is blank: set the host name or IP address under which clients reach the ports; the ingress does not carry them" -}}
{{- else if not (regexMatch "^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]+)$" $streams.routerAddress) -}}
{{- $m = append $m (printf "streamSession.routerAddress is %q: write a host name or an IP address, without scheme and port" $streams.routerAddress) -}}
{{- end -}}
{{- end -}}
{{- $m | toJson -}}
{{- end -}}
