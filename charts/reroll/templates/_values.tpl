{{/* What every template begins with: values that are complete, fit one another, and say how certificates are made. */}}

{{/* Values that came after a release. `helm upgrade --reuse-values` takes those of before alone, and then has none of these. */}}
{{- define "reroll.added" -}}
enabled: true
global: {imageRegistry: "", imagePullSecrets: []}
webhook: {labels: {}, warnings: all}
metrics: {namespaces: 100, reloader: false}
test: {image: {registry: "", repository: "", tag: "", digest: ""}}
{{- end -}}

{{/* Puts into a map what another has and it has not, at every depth: (list map other) */}}
{{- define "reroll.fill" -}}
{{- $into := first . -}}
{{- range $key, $value := last . -}}
{{- if not (hasKey $into $key) -}}
{{- $_ := set $into $key $value -}}
{{- else if and (kindIs "map" $value) (kindIs "map" (get $into $key)) -}}
{{- include "reroll.fill" (list (get $into $key) $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "reroll.complete" -}}
{{- include "reroll.fill" (list .Values (include "reroll.added" . | fromYaml)) -}}
{{- if not .Values.enabled -}}
{{- fail "enabled: false only leaves this chart out of an umbrella chart whose dependency says `condition: reroll.enabled`; to remove reroll: helm uninstall" -}}
{{- end -}}
{{- include "reroll.checkBounds" . -}}
{{- include "reroll.checkTogether" . -}}
{{- if eq .Values.certificates.mode "auto" -}}
{{- $_ := set .Values.certificates "mode" (include "reroll.certificatesFor" .) -}}
{{- end -}}
{{- include "reroll.checkFlags" . -}}
{{- end -}}

{{/* How certificates are made where the values leave it open. What a release has stays, whether cert-manager came or went: a
     change of it has to be asked for. `helm template` and Argo CD see nothing of the cluster but which kinds it has. */}}
{{- define "reroll.certificatesFor" -}}
{{- $hasKinds := .Capabilities.APIVersions.Has "cert-manager.io/v1" -}}
{{- $now := include "reroll.certificatesNow" . -}}
{{- if and .Values.webhook.enabled .Values.certificates.existingSecret.name -}}
{{- fail "certificates.existingSecret.name is set, and certificates.mode is auto, which does not use it: set certificates.mode to existingSecret" -}}
{{- end -}}
{{- if .Values.certificates.certManager.issuerRef -}}
{{- /* Who names an issuer means cert-manager. */ -}}
certManager
{{- else if and (eq $now "selfManaged") .Values.rbac.clusterRole -}}
selfManaged
{{- else if $hasKinds -}}
certManager
{{- else if or .Values.rbac.clusterRole (not .Values.webhook.enabled) -}}
selfManaged
{{- else -}}
{{- fail "certificates.mode is auto: the cluster has no cert-manager (cert-manager.io/v1), and without rbac.clusterRole reroll cannot write the authority of its own certificate. Install cert-manager, set rbac.clusterRole to true, or give a certificate (certificates.mode: existingSecret)" -}}
{{- end -}}
{{- end -}}

{{/* How the pods of this release get theirs at the moment: "selfManaged", or nothing where there are none, or another does it. */}}
{{- define "reroll.certificatesNow" -}}
{{- $found := lookup "apps/v1" "Deployment" (include "reroll.namespace" .) (include "reroll.fullname" .) | default dict -}}
{{- range dig "spec" "template" "spec" "containers" list $found -}}
{{- range .args -}}
{{- if hasPrefix "--certificates-secret=" . -}}
selfManaged
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Values that are well each, and together are not. */}}
{{- define "reroll.checkTogether" -}}
{{- with .Values.webhook -}}
{{- $budget := include "reroll.milliseconds" .getBudget | int64 -}}
{{- if and .enabled (ge $budget (mul 1000 .timeoutSeconds)) -}}
{{- fail (printf "webhook.getBudget (%s) must be shorter than webhook.timeoutSeconds (%d): the API server would give up before reroll answers from memory" .getBudget (int .timeoutSeconds)) -}}
{{- end -}}
{{- end -}}
{{- with .Values.restarts -}}
{{- if gt (include "reroll.milliseconds" .settle | int64) (include "reroll.milliseconds" .settleMax | int64) -}}
{{- fail (printf "restarts.settle (%s) must not be longer than restarts.settleMax (%s), which ends every wait for further changes" .settle .settleMax) -}}
{{- end -}}
{{- end -}}
{{- $grace := add (include "reroll.milliseconds" .Values.drainDelay | int64) 25000 -}}
{{- if gt $grace (mul 1000 .Values.terminationGracePeriodSeconds) -}}
{{- fail (printf "terminationGracePeriodSeconds (%d) must be at least 25 s longer than drainDelay (%s): a replica that serves until it is killed loses what is in flight" (int .Values.terminationGracePeriodSeconds) .Values.drainDelay) -}}
{{- end -}}
{{- if lt (int .Values.replicas) 1 -}}
{{- fail "replicas must be at least 1: with 0 nothing restarts, and nobody is told. To stop reroll for a while: kubectl reroll suspend --all" -}}
{{- end -}}
{{- range $of := list "requests" "limits" -}}
{{- $memory := dig $of "memory" "" $.Values.resources -}}
{{- /* 64Mi as a number of bytes has eight digits; m is a thousandth of a byte. */ -}}
{{- if regexMatch "^([0-9]{1,7}|[0-9]+m)$" (kindIs "float64" $memory | ternary (printf "%.0f" $memory) (toString $memory)) -}}
{{- fail (printf "resources.%s.memory is %v, which is less than a process needs: bytes without a unit, and m is a thousandth of one; write it as 512Mi" $of $memory) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.alerts.urlSecret.name (not .Values.alerts.sink) -}}
{{- fail "alerts.urlSecret.name is set, and alerts.sink is not, without which nothing is posted: set alerts.sink to slack, teams, gchat, json or text" -}}
{{- end -}}
{{- if and .Values.watch.namespaces .Values.watch.ignoreNamespaces -}}
{{- fail "watch.namespaces and watch.ignoreNamespaces exclude each other: leave those to ignore out of watch.namespaces" -}}
{{- end -}}
{{- if and .Values.watch.namespaces .Values.watch.namespaceSelector -}}
{{- fail "watch.namespaces and watch.namespaceSelector exclude each other: name the namespaces, or select them by their labels" -}}
{{- end -}}
{{- end -}}

{{/* A duration, such as 1h30m or 250ms, in milliseconds. */}}
{{- define "reroll.milliseconds" -}}
{{- $sum := 0 -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $sum = add $sum (mul (trimSuffix $unit . | int64) (get $units $unit)) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}
