{{/* The arguments of reroll, but for extraArgs. */}}
{{- define "reroll.args" -}}
{{- $values := .Values -}}
- run
{{- with .Values.watch.namespaces }}
- --namespaces={{ join "," . }}
{{- end }}
{{- with .Values.watch.ignoreNamespaces }}
- --ignore-namespaces={{ join "," . }}
{{- end }}
{{- with include "reroll.selector" .Values.watch.namespaceSelector }}
- {{ printf "--namespace-selector=%s" . | quote }}
{{- end }}
{{- with include "reroll.selector" .Values.watch.sourceSelector }}
- {{ printf "--source-selector=%s" . | quote }}
{{- end }}
- --skip-secret-types={{ join "," .Values.watch.skipSecretTypes }}
{{- with .Values.watch.ignoreResources }}
- --ignore-resources={{ join "," . }}
{{- end }}
{{- with .Values.kinds }}
- --optional-kinds={{ join "," .optional }}
{{- range .custom }}
- --workload-kind={{ .group }}/{{ .version }}/{{ .kind }}={{ .resource }}{{ with .template }}:{{ . }}{{ end }}
{{- end }}
- --discovery-interval={{ .discoveryInterval }}
{{- end }}
{{- if .Values.optIn.all }}
- --auto-all
{{- end }}
- --on-recreate={{ .Values.optIn.onRecreate }}
- --on-delete={{ .Values.optIn.onDelete }}
{{- range $meant, $flag := include "reroll.annotationFlags" . | fromYaml }}
{{- with get $values.optIn.annotations $meant }}
- --{{ $flag }}={{ . }}
{{- end }}
{{- end }}
- --lease-name={{ include "reroll.lease" . }}
- --lease-duration={{ .Values.lease.duration }}
- --digest-key-secret={{ include "reroll.digestKeySecret" . }}
- --request-timeout={{ .Values.requestTimeout }}
{{- with .Values.restarts }}
- --settle={{ .settle }}
- --settle-max={{ .settleMax }}
- --restart-rate={{ .rate }}
- --restart-burst={{ int .burst }}
- --restart-concurrency={{ int .concurrency }}
- --rolling-limit={{ int .rollingLimit }}
- --slow-start={{ ternary "on" "off" .slowStart }}
- --soak={{ .soak }}
- --bake={{ .bake }}
- --rollout-deadline={{ .rolloutDeadline }}
- --max-distance={{ .maxDistance }}
- --change-cause={{ ternary "on" "off" .changeCause }}
- --name-writers={{ ternary "on" "off" .nameWriters }}
- --adopt-rate={{ .adoptRate }}
- --sweep-interval={{ .sweepInterval }}
{{- end }}
{{- if .Values.webhook.enabled }}
{{- with .Values.webhook }}
- --webhook-listen={{ $values.listenAddress }}:{{ .port }}
{{- if eq $values.certificates.mode "selfManaged" }}
- --certificates-secret={{ include "reroll.tlsSecret" $ }}
- --webhook-hosts={{ include "reroll.dnsNames" $ | fromYamlArray | join "," }}
- --authority-lifetime={{ $values.certificates.selfManaged.authorityLifetime }}
- --certificate-lifetime={{ $values.certificates.selfManaged.leafLifetime }}
{{- else }}
- --tls-cert=/etc/reroll/tls/tls.crt
- --tls-key=/etc/reroll/tls/tls.key
{{- end }}
{{- if $values.rbac.clusterRole }}
- --webhook-configurations={{ include "reroll.fullname" $ }}
{{- end }}
{{- if .clientCa.configMap }}
- --client-ca=/etc/reroll/client-ca/{{ .clientCa.key }}
{{- end }}
- --tls-min-version={{ .tlsMinVersion }}
- --tls-poll-interval={{ .tlsPollInterval }}
- --max-body={{ .maxBody }}
- --get-budget={{ .getBudget }}
- --webhook-warnings={{ .warnings }}
{{- end }}
{{- else }}
- --no-webhook
{{- end }}
{{- if .Values.alerts.sink }}
{{- with .Values.alerts }}
- --alert-sink={{ .sink }}
- --alert-url-file=/etc/reroll/alerts/{{ .urlSecret.key }}
- --alert-on={{ join "," .on }}
{{- if .prefix }}
- {{ printf "--alert-prefix=%s" .prefix | quote }}
{{- end }}
- --alert-window={{ .window }}
- --alert-timeout={{ .timeout }}
{{- if .caConfigMap.name }}
- --alert-ca-file=/etc/reroll/alerts-ca/{{ .caConfigMap.key }}
{{- end }}
{{- end }}
{{- end }}
- --http-listen={{ .Values.listenAddress }}:{{ .Values.http.port }}
- --metrics-namespaces={{ int .Values.metrics.namespaces }}
{{- if .Values.metrics.reloader }}
- --reloader-metrics
{{- end }}
- --log-format={{ .Values.log.format }}
- --log={{ .Values.log.filter }}
- --drain-delay={{ .Values.drainDelay }}
{{- end -}}
