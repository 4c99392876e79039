{{/*
Values that are set and have no effect beside others, each with why, as a JSON list. Before anything is derived: what was not said has none.
*/}}
{{- define "portico.unused" -}}
{{- $v := . -}}
{{- $unused := list -}}
{{- $services := list (dict "path" "service" "service" $v.service "type" ($v.service.type | default "ClusterIP")) -}}
{{- if and $v.streamSession.portRange.start $v.streamSession.portRange.end -}}
{{- $streams := $v.streamSession.service -}}
{{- $services = append $services (dict "path" "streamSession.service" "service" $streams "type" ($streams.type | default "NodePort")) -}}
{{- else if $v.streamSession.service.loadBalancerSourceRanges -}}
{{- $unused = append $unused "streamSession.service.loadBalancerSourceRanges: there are no TCP endpoints without streamSession.portRange" -}}
{{- end -}}
{{- range $services -}}
{{- if and .service.loadBalancerClass (ne .type "LoadBalancer") -}}
{{- $unused = append $unused (printf "%s.loadBalancerClass: %s.type is %s" .path .path .type) -}}
{{- end -}}
{{- if and .service.externalTrafficPolicy (eq .type "ClusterIP") -}}
{{- $unused = append $unused (printf "%s.externalTrafficPolicy: %s.type is ClusterIP" .path .path) -}}
{{- end -}}
{{- end -}}
{{- $type := $v.service.type | default "ClusterIP" -}}
{{- if ne $type "NodePort" -}}
{{- range $section := list "service" "console" -}}
{{- if (index $v $section).nodePort -}}
{{- $unused = append $unused (printf "%s.nodePort: service.type is %s" $section $type) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $v.ingress.enabled -}}
{{- if and $v.ingress.hostName (not $v.httpRoute.enabled) -}}
{{- $unused = append $unused "ingress.hostName: there is no Ingress (ingress.enabled); visitors use externalURL" -}}
{{- end -}}
{{- range $section := list "ingress" "console" -}}
{{- if (index $v $section).tlsSecretName -}}
{{- $unused = append $unused (printf "%s.tlsSecretName: there is no Ingress (ingress.enabled)" $section) -}}
{{- end -}}
{{- end -}}
{{- if and $v.console.hostName $v.console.url (not $v.httpRoute.enabled) -}}
{{- $unused = append $unused "console.hostName: there is no Ingress and no HTTPRoute that it could join; console.url is the address" -}}
{{- end -}}
{{- end -}}
{{- if not $v.httpRoute.enabled -}}
{{- range $name := list "parentRefs" "hostnames" -}}
{{- if index $v.httpRoute $name -}}
{{- $unused = append $unused (printf "httpRoute.%s: there is no HTTPRoute (httpRoute.enabled)" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $v.networkPolicy.enabled -}}
{{- range $name := list "from" "operationsFrom" -}}
{{- if index $v.networkPolicy $name -}}
{{- $unused = append $unused (printf "networkPolicy.%s: there is no NetworkPolicy for the gateway (networkPolicy.enabled)" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $v.networkPolicy.taskPods.from (not $v.networkPolicy.taskPods.enabled) -}}
{{- $unused = append $unused "networkPolicy.taskPods.from: there is no NetworkPolicy for the tasks' pods (networkPolicy.taskPods.enabled)" -}}
{{- end -}}
{{- $unused | toJson -}}
{{- end -}}
