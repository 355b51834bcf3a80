{{/* What reroll refuses at its start is refused here, by the name of the value. */}}

{{/* The bounds of durations: the flag, its value, at least, at most. A test of reroll's compares them with those of its flags. */}}
{{- define "reroll.bounds" -}}
--alert-timeout: [alerts.timeout, 100ms, 1h]
--alert-window: [alerts.window, 0s, 24h]
--authority-lifetime: [certificates.selfManaged.authorityLifetime, 10s, 876000h]
--bake: [restarts.bake, 0s, 24h]
--certificate-lifetime: [certificates.selfManaged.leafLifetime, 10s, 876000h]
--discovery-interval: [kinds.discoveryInterval, 100ms, 24h]
--drain-delay: [drainDelay, 0s, 1h]
--get-budget: [webhook.getBudget, 0s, 30s]
--lease-duration: [lease.duration, 2s, 1h]
--max-distance: [restarts.maxDistance, 0s, 168h]
--request-timeout: [requestTimeout, 100ms, 1h]
--rollout-deadline: [restarts.rolloutDeadline, 1s, 1h]
--settle: [restarts.settle, 0s, 24h]
--settle-max: [restarts.settleMax, 0s, 24h]
--soak: [restarts.soak, 0s, 24h]
--sweep-interval: [restarts.sweepInterval, 1s, 24h]
--tls-poll-interval: [webhook.tlsPollInterval, 100ms, 1h]
{{- end -}}

{{/* Flags that count as often as they are given. The same test compares them. */}}
{{- define "reroll.repeatable" -}}
[--alert-on, --ignore-namespaces, --ignore-resources, --namespaces, --optional-kinds, --skip-secret-types, --webhook-hosts, --workload-kind]
{{- end -}}

{{- define "reroll.checkBounds" -}}
{{- $values := .Values -}}
{{- range $flag, $row := include "reroll.bounds" . | fromYaml -}}
{{- $given := $values -}}
{{- range splitList "." (index $row 0) -}}
{{- $given = get $given . -}}
{{- end -}}
{{- $milliseconds := include "reroll.milliseconds" $given | int64 -}}
{{- if or (lt $milliseconds (include "reroll.milliseconds" (index $row 1) | int64)) (gt $milliseconds (include "reroll.milliseconds" (index $row 2) | int64)) -}}
{{- fail (printf "%s (%s) must be between %s and %s: reroll refuses another %s, and does not start" (index $row 0) $given (index $row 1) (index $row 2) $flag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Ports, the log's filter, and flags that are given a second time. */}}
{{- define "reroll.checkFlags" -}}
{{- if and .Values.webhook.enabled (eq (int .Values.webhook.port) (int .Values.http.port)) -}}
{{- fail (printf "webhook.port and http.port are both %d: only one of them can listen there" (int .Values.http.port)) -}}
{{- end -}}
{{- $level := "(?i:off|error|warn|info|debug|trace|[0-5])" -}}
{{- range splitList "," .Values.log.filter -}}
{{- $directive := trim . -}}
{{- if and (regexMatch "=[^\\]]*$" $directive) (not (regexMatch (printf "=%s?$" $level) $directive)) -}}
{{- fail (printf "log.filter: %q does not end in a level (off, error, warn, info, debug or trace): reroll refuses it, and does not start" $directive) -}}
{{- end -}}
{{- end -}}
{{- $own := list -}}
{{- range include "reroll.args" . | fromYamlArray -}}
{{- $own = append $own (first (splitList "=" .)) -}}
{{- end -}}
{{- $repeatable := include "reroll.repeatable" . | fromYamlArray -}}
{{- range .Values.extraArgs -}}
{{- $flag := first (splitList "=" (toString .)) -}}
{{- if and (has $flag $own) (not (has $flag $repeatable)) -}}
{{- fail (printf "extraArgs has %s, which the chart sets itself by a value of its own: reroll refuses a flag that is given twice, and does not start" $flag) -}}
{{- end -}}
{{- end -}}
{{- end -}}
