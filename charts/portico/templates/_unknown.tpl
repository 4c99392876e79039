{{/* What is said about each name that is no value's, as a JSON list. */}}
{{- define "portico.unknown" -}}
{{- $found := list -}}
{{- $about := .about -}}
{{- $prefix := .prefix -}}
{{- /* Nobody means a name that has no effect. */ -}}
{{- $meant := list -}}
{{- range concat $about.known $about.sections -}}
{{- if not (hasKey $about.unused .) -}}{{- $meant = append $meant . -}}{{- end -}}
{{- end -}}
{{- range $name, $value := .given -}}
{{- $path := print $prefix $name -}}
{{- if has $path $about.sections -}}
{{- if kindIs "map" $value -}}
{{- $found = concat $found (include "portico.unknown" (dict "given" $value "prefix" (print $path ".") "about" $about) | fromJsonArray) -}}
{{- end -}}
{{- else if not (has $path $about.known) -}}
{{- $nearest := include "portico.nearest" (dict "path" $path "known" $meant) -}}
{{- $found = append $found (printf "%s is no value of this chart; did you mean %s?" $path $nearest) -}}
{{- end -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}

{{/*
The known path that shares the most pairs of letters with the path. Their last parts count twice: whoever puts a name into the wrong
section finds the right one.
*/}}
{{- define "portico.nearest" -}}
{{- $path := lower .path -}}
{{- $best := dict "score" -1 "path" "" -}}
{{- range $known := .known -}}
{{- $other := lower $known -}}
{{- $whole := include "portico.likeness" (dict "one" $path "two" $other) | int -}}
{{- $last := include "portico.likeness" (dict "one" (splitList "." $path | last) "two" (splitList "." $other | last)) | int -}}
{{- $score := add $whole $last -}}
{{- if gt (int $score) (int $best.score) -}}
{{- $_ := set $best "score" $score -}}
{{- $_ := set $best "path" $known -}}
{{- end -}}
{{- end -}}
{{- $best.path -}}
{{- end -}}

{{/* From 0 to 1000: how many pairs of neighboring letters two texts share (Dice's coefficient). */}}
{{- define "portico.likeness" -}}
{{- $one := print "^" .one "$" -}}
{{- $two := print "^" .two "$" -}}
{{- $pairs := dict -}}
{{- range $i := until (sub (len $one) 1 | int) -}}
{{- $_ := set $pairs (substr $i (add $i 2 | int) $one) true -}}
{{- end -}}
{{- $others := dict -}}
{{- range $i := until (sub (len $two) 1 | int) -}}
{{- $_ := set $others (substr $i (add $i 2 | int) $two) true -}}
{{- end -}}
{{- $both := 0 -}}
{{- range $pair, $_ := $pairs -}}
{{- if hasKey $others $pair -}}{{- $both = add $both 1 -}}{{- end -}}
{{- end -}}
{{- div (mul 2000 $both) (add (len $pairs) (len $others)) -}}
{{- end -}}
