{{/*
The values as the templates use them, as JSON: blanks filled, older names under the newer ones, and everything that follows from
several of them. Fails if they make no sense. Each template begins with

  {{- $v := include "portico.values" . | fromJson -}}
*/}}
{{- define "portico.values" -}}
{{- $about := .Files.Get "files/values.json" | fromJson -}}
{{- $v := .Values | toJson | fromJson -}}
{{- $mistakes := include "portico.unknown" (dict "given" $v "prefix" "" "about" $about) | fromJsonArray -}}
{{- if $mistakes -}}
{{- include "portico.fail" $mistakes -}}
{{- end -}}

{{- include "portico.fill" (dict "given" $v "defaults" $about.defaults "prefix" "" "sections" $about.sections) -}}

{{- /* Older names. */ -}}
{{- range $path, $newer := $about.older -}}
{{- $old := include "portico.get" (dict "given" $v "path" $path) | fromJson -}}
{{- if $old.value -}}
{{- $new := include "portico.get" (dict "given" $v "path" $newer) | fromJson -}}
{{- $default := include "portico.get" (dict "given" $about.defaults "path" $newer) | fromJson -}}
{{- if or (not $new.value) (eq (toJson $new.value) (toJson $default.value)) -}}
{{- include "portico.set" (dict "given" $v "path" $newer "value" $old.value) -}}
{{- else if ne (toJson $new.value) (toJson $old.value) -}}
{{- $mistakes = append $mistakes (printf "%s and %s differ: they are the older and the newer name of one value; remove %s" $path $newer $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* What is set and has no effect. */ -}}
{{- $unused := list -}}
{{- range $path, $why := $about.unused -}}
{{- $said := include "portico.get" (dict "given" $v "path" $path) | fromJson -}}
{{- if and (hasKey $said "value") (not (kindIs "invalid" $said.value)) -}}
{{- $unused = append $unused (printf "%s: %s" $path $why) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $v "unused" (concat $unused (include "portico.unused" $v | fromJsonArray)) -}}
{{- $_ := set $v "config" ($v.config | default dict) -}}
{{- include "portico.unblank" $v.config -}}

{{- include "portico.derive.url" (dict "v" $v) -}}
{{- include "portico.derive.image" (dict "v" $v) -}}
{{- include "portico.derive.streams" (dict "v" $v) -}}
{{- include "portico.derive.console" (dict "v" $v) -}}
{{- include "portico.derive.shutdown" (dict "v" $v) -}}
{{- $mistakes = concat $mistakes (include "portico.mistakes" (dict "v" $v "root" .) | fromJsonArray) -}}
{{- if $mistakes -}}
{{- include "portico.fail" $mistakes -}}
{{- end -}}
{{- $v | toJson -}}
{{- end -}}

{{/*
What was left blank has its default again: helm takes it away, a section with all its parts. A mapping that is passed on as it is keeps
its blanks, which mean "take this out" there; only `config` loses them (`portico.unblank`).
*/}}
{{- define "portico.fill" -}}
{{- $given := .given -}}
{{- $prefix := .prefix -}}
{{- $sections := .sections -}}
{{- range $name, $default := .defaults -}}
{{- if kindIs "invalid" (index $given $name) -}}
{{- if not (kindIs "invalid" $default) -}}
{{- $_ := set $given $name (deepCopy $default) -}}
{{- end -}}
{{- else if has (print $prefix $name) $sections -}}
{{- include "portico.fill" (dict "given" (index $given $name) "defaults" $default "prefix" (print $prefix $name ".") "sections" $sections) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes blanks out: merged as they are, they would take out what objects of the chart depend on. */}}
{{- define "portico.unblank" -}}
{{- $given := . -}}
{{- range $name := keys $given -}}
{{- $value := index $given $name -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $given $name -}}
{{- else if kindIs "map" $value -}}
{{- include "portico.unblank" $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "portico.fail" -}}
{{- printf "\n\nthe values cannot be installed:\n  * %s\n" (join "\n  * " .) | fail -}}
{{- end -}}

{{/* {"value": what stands at the path}, without "value" if nothing does. */}}
{{- define "portico.get" -}}
{{- $state := dict "at" .given "there" true -}}
{{- range $part := splitList "." .path -}}
{{- if and $state.there (kindIs "map" $state.at) (hasKey $state.at $part) -}}
{{- $_ := set $state "at" (index $state.at $part) -}}
{{- else -}}
{{- $_ := set $state "there" false -}}
{{- end -}}
{{- end -}}
{{- if $state.there -}}{{ dict "value" $state.at | toJson }}{{- else -}}{}{{- end -}}
{{- end -}}

{{- define "portico.set" -}}
{{- $state := dict "at" .given -}}
{{- $parts := splitList "." .path -}}
{{- range $part := initial $parts -}}
{{- $_ := set $state "at" (index $state.at $part) -}}
{{- end -}}
{{- $_ := set $state.at (last $parts) .value -}}
{{- end -}}

{{/* scheme, host and port of the gateway's URL; the host of the Ingress. */}}
{{- define "portico.derive.url" -}}
{{- $v := .v -}}
{{- $url := trimSuffix "/" ($v.externalURL | default "") -}}
{{- $hostName := $v.ingress.hostName | default "" -}}
{{- if and (not $url) $v.ingress.enabled $hostName -}}
{{- $url = printf "%s://%s" (include "portico.ingress.scheme" $v) $hostName -}}
{{- end -}}
{{- $_ := set $v "url" $url -}}
{{- include "portico.parts" (dict "v" $v "url" $url "prefix" "url") -}}
{{- if and (not $hostName) $v.urlHost (not (regexMatch "^([0-9.]+|\\[.*\\])$" $v.urlHost)) -}}
{{- $hostName = $v.urlHost -}}
{{- end -}}
{{- $_ := set $v.ingress "hostName" $hostName -}}
{{- if and (kindIs "invalid" $v.service.nodePort) (eq ($v.service.type | default "") "NodePort") -}}
{{- $_ := set $v.service "nodePort" $v.urlPort -}}
{{- end -}}
{{- if not $v.service.port -}}
{{- $port := 8080 -}}
{{- if eq ($v.service.type | default "") "LoadBalancer" -}}
{{- $port = $v.urlPort | default (ternary 443 80 (eq $v.urlScheme "https")) -}}
{{- end -}}
{{- $_ := set $v.service "port" $port -}}
{{- end -}}
{{- end -}}

{{/* Sets <prefix>Scheme, <prefix>Host and <prefix>Port; the port is nil where the URL has none. */}}
{{- define "portico.parts" -}}
{{- $pattern := "^(https?)://(\\[[0-9A-Fa-f:.]+\\]|[^/:@?#\\[\\]]+)(:([0-9]{1,5}))?$" -}}
{{- $_ := set .v (print .prefix "Scheme") "" -}}
{{- $_ := set .v (print .prefix "Host") "" -}}
{{- $_ := set .v (print .prefix "Port") nil -}}
{{- if regexMatch $pattern .url -}}
{{- $_ := set .v (print .prefix "Scheme") (regexReplaceAll $pattern .url "${1}") -}}
{{- $_ := set .v (print .prefix "Host") (regexReplaceAll $pattern .url "${2}") -}}
{{- with regexReplaceAll $pattern .url "${4}" -}}
{{- $_ := set $.v (print $.prefix "Port") (atoi .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* https if a certificate is named, in whichever way the class names it. */}}
{{- define "portico.ingress.scheme" -}}
{{- $annotations := .ingress.annotations | default dict -}}
{{- $edge := index $annotations "route.openshift.io/termination" -}}
{{- $arn := index $annotations "alb.ingress.kubernetes.io/certificate-arn" -}}
{{- if or .ingress.tlsSecretName $edge $arn (contains "openshift" (.ingress.className | default "")) -}}https{{- else -}}http{{- end -}}
{{- end -}}

{{/* The image, and the pull secrets' names. */}}
{{- define "portico.derive.image" -}}
{{- $v := .v -}}
{{- $credentials := $v.imageCredentials -}}
{{- $registry := $v.image.registry | default (($v.global | default dict).imageRegistry) | default $credentials.registry -}}
{{- $name := $v.image.repository -}}
{{- if $registry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" $registry) $name -}}
{{- end -}}
{{- $_ := set $v.image "name" $name -}}
{{- $existing := list -}}
{{- range $credentials.existingImagePullSecrets -}}
{{- $existing = append $existing .name -}}
{{- end -}}
{{- $_ := set $v "pullSecrets" $existing -}}
{{- $_ := set $v "writesPullSecret" (and $credentials.registry $credentials.password (not $existing) | not | not) -}}
{{- end -}}

{{/* The range of stream ports, and where clients find them. */}}
{{- define "portico.derive.streams" -}}
{{- $v := .v -}}
{{- $streams := $v.streamSession -}}
{{- $start := $streams.portRange.start -}}
{{- $end := $streams.portRange.end -}}
{{- $_ := set $streams "enabled" (and $start $end | not | not) -}}
{{- $_ := set $streams.service "type" ($streams.service.type | default "NodePort") -}}
{{- if $streams.enabled -}}
{{- $_ := set $streams "count" (add (sub (int $end) (int $start)) 1) -}}
{{- end -}}
{{- if and (not $streams.routerAddress) (not $v.ingress.enabled) (not $v.httpRoute.enabled) -}}
{{- $_ := set $streams "routerAddress" (trimAll "[]" $v.urlHost) -}}
{{- end -}}
{{- end -}}

{{/* The console's own address, if it has one. */}}
{{- define "portico.derive.console" -}}
{{- $v := .v -}}
{{- $console := $v.console -}}
{{- $url := trimSuffix "/" ($console.url | default "") -}}
{{- $is_joined := and $console.hostName (or $v.ingress.enabled $v.httpRoute.enabled) | not | not -}}
{{- $_ := set $console "leadsNowhere" (and $console.hostName (not $url) (not $is_joined) | not | not) -}}
{{- if and (not $url) $console.hostName -}}
{{- $url = printf "%s://%s" ($v.urlScheme | default "https") $console.hostName -}}
{{- if and $v.urlPort $is_joined -}}
{{- $url = printf "%s:%d" $url (int $v.urlPort) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $console "url" $url -}}
{{- include "portico.parts" (dict "v" $v "url" $url "prefix" "console") -}}
{{- $_ := set $console "tlsSecretName" ($console.tlsSecretName | default $v.ingress.tlsSecretName) -}}
{{- if and (kindIs "invalid" $console.nodePort) (eq ($v.service.type | default "") "NodePort") (not $is_joined) -}}
{{- $_ := set $console "nodePort" $v.consolePort -}}
{{- end -}}
{{- end -}}
