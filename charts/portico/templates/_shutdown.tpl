{{/*
How long the pod may take to end: as long as the gateway lets open things go on, wherever that is said, and a little for itself. What the
chart cannot read is noted for `portico.mistakes.shutdown`.
*/}}
{{- define "portico.derive.shutdown" -}}
{{- $v := .v -}}
{{- $pattern := "^([0-9]{1,9}) *(ms|s|m|h|d)$" -}}
{{- $milliseconds := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- $total := 15000 -}}
{{- $unreadable := list -}}
{{- range $key, $value := dict "delay" "delaySeconds" "grace" "graceSeconds" "stream_grace" "streamGraceSeconds" -}}
{{- $time := mul (index $v.shutdown $value) 1000 -}}
{{- /* The last one counts. */ -}}
{{- range $said := include "portico.said" (dict "v" $v "path" (print "shutdown." $key) "variables" list) | fromJsonArray -}}
{{- $text := toString $said.value | trim -}}
{{- if regexMatch $pattern $text -}}
{{- $unit := regexReplaceAll $pattern $text "${2}" -}}
{{- $time = mul (regexReplaceAll $pattern $text "${1}" | atoi) (index $milliseconds $unit) -}}
{{- else if regexMatch "^0+$" $text -}}
{{- $time = 0 -}}
{{- else -}}
{{- $unreadable = append $unreadable (dict "where" $said.where "instead" (print "shutdown." $value)) -}}
{{- end -}}
{{- end -}}
{{- $total = add $total $time -}}
{{- end -}}
{{- $_ := set $v.shutdown "unreadable" $unreadable -}}
{{- $_ := set $v "terminationSeconds" (div (add $total 999) 1000) -}}
{{- end -}}

{{- define "portico.mistakes.shutdown" -}}
{{- $m := list -}}
{{- range .shutdown.unreadable -}}
{{- $m = append $m (printf "%s is no duration that the chart can read, and it has to give the pod this time: write a number with its unit, such as 90s or 4h, or set %s instead" .where .instead) -}}
{{- end -}}
{{- $m | toJson -}}
{{- end -}}
