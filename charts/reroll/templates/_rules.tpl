{{/* What reroll may do, and what its webhook is called for. */}}

{{/* The kinds that reroll rolls. The code has the same table (`Kinds`). Which version of those that come with a
     CustomResourceDefinition is served may change. */}}
{{- define "reroll.kinds" -}}
- {group: apps, version: v1, resource: deployments}
- {group: apps, version: v1, resource: statefulsets}
- {group: apps, version: v1, resource: daemonsets}
{{- if has "rollouts" .Values.kinds.optional }}
- {group: argoproj.io, version: '"*"', resource: rollouts}
{{- end }}
{{- if has "deploymentconfigs" .Values.kinds.optional }}
- {group: apps.openshift.io, version: '"*"', resource: deploymentconfigs}
{{- end }}
{{- range list "cronjobs" "jobs" }}
{{- if has . $.Values.kinds.optional }}
- {group: batch, version: v1, resource: {{ . }}}
{{- end }}
{{- end }}
{{- range .Values.kinds.custom }}
- {group: {{ .group }}, version: '"*"', resource: {{ .resource }}}
{{- end }}
{{- end -}}

{{/* The kinds that every cluster has and that reroll leaves alone. */}}
{{- define "reroll.off" -}}
{{- range list "cronjobs" "jobs" }}
{{- if not (has . $.Values.kinds.optional) }}
- {group: batch, version: v1, resource: {{ . }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* Rights in each namespace that is worked in. Nothing here writes a Secret or a ConfigMap. */}}
{{- define "reroll.rules" -}}
{{- $sources := list }}
{{- range list "secrets" "configmaps" }}
{{- if not (has . $.Values.watch.ignoreResources) }}
{{- $sources = append $sources . }}
{{- end }}
{{- end }}
{{- with $sources -}}
# Watched and read, digested, and forgotten.
- apiGroups: [""]
  resources: [{{ join ", " . }}]
  verbs: [get, list, watch]
{{- end }}
{{- if not (has "secretproviderclasses" .Values.watch.ignoreResources) }}
# What the Secrets Store CSI driver provides, as the statuses of pods show it. A cluster without the driver has neither.
- apiGroups: [secrets-store.csi.x-k8s.io]
  resources: [secretproviderclasses, secretproviderclasspodstatuses]
  verbs: [list, watch]
{{- end }}
# Restarts, and reroll's own annotations, are patches.
{{- range include "reroll.kinds" . | fromYamlArray }}
- apiGroups: [{{ .group }}]
  resources: [{{ .resource }}]
  verbs: [get, list, watch, patch]
{{- end }}
{{- if has "jobs" .Values.kinds.optional }}
# A Job is created again by deleting it first; a CronJob runs by a Job.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [create, delete]
{{- else if has "cronjobs" .Values.kinds.optional }}
# A CronJob runs by a Job.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [create, get]
{{- end }}
# Has a container of a workload ever started without a source that it needs? And when was its current revision made?
# Which pods does a new one adopt? What became of a restart?
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [apps]
  resources: [replicasets, controllerrevisions]
  verbs: [list]
# A patch counts an Event that repeats.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* Whether it has those rights in its own namespace. */}}
{{- define "reroll.worksInOwnNamespace" -}}
{{- or (not .Values.watch.namespaces) (has (include "reroll.namespace" .) .Values.watch.namespaces) | ternary "yes" "" -}}
{{- end -}}

{{/* Whether those rights let it read the Secrets of its own namespace: then no rule there says so once more. */}}
{{- define "reroll.readsOwnSecrets" -}}
{{- and (eq (include "reroll.worksInOwnNamespace" .) "yes") (not (has "secrets" .Values.watch.ignoreResources)) | ternary "yes" "" -}}
{{- end -}}

{{/* Labels of namespaces are the default for the workloads in them. */}}
{{- define "reroll.namespaceRules" -}}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
  {{- with .Values.watch.namespaces }}
  resourceNames: {{ toJson . }}
  {{- end }}
{{- end -}}

{{/* A label selector in one line. */}}
{{- define "reroll.selector" -}}
{{- $all := list -}}
{{- range $key, $value := .matchLabels }}
{{- $all = append $all (printf "%s=%s" $key $value) }}
{{- end }}
{{- range .matchExpressions }}
{{- if eq .operator "Exists" }}
{{- $all = append $all .key }}
{{- else if eq .operator "DoesNotExist" }}
{{- $all = append $all (printf "!%s" .key) }}
{{- else }}
{{- $all = append $all (printf "%s %s (%s)" .key (lower .operator) (join "," .values)) }}
{{- end }}
{{- end }}
{{- join "," $all -}}
{{- end -}}

{{/* The webhook's address, and the authority that vouches for it: (list $ "/path") */}}
{{- define "reroll.clientConfig" -}}
{{- $ := first . -}}
service:
  name: {{ include "reroll.fullname" $ }}
  namespace: {{ include "reroll.namespace" $ }}
  path: {{ last . }}
  port: {{ $.Values.webhook.service.port }}
{{- if and (eq $.Values.certificates.mode "existingSecret") $.Values.certificates.existingSecret.caBundle }}
caBundle: {{ $.Values.certificates.existingSecret.caBundle | trim | b64enc }}
{{- end }}
{{- end -}}

{{/* The same for every webhook. Never `Fail`: a webhook that is away must not hold anybody up. */}}
{{- define "reroll.webhook" -}}
admissionReviewVersions: [v1]
failurePolicy: Ignore
matchPolicy: Equivalent
timeoutSeconds: {{ .Values.webhook.timeoutSeconds }}
{{- end -}}

{{/* A webhook that were asked about its own pods could not come up. */}}
{{- define "reroll.namespaceExpressions" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values: {{ concat (list (include "reroll.namespace" .) "kube-system" "kube-node-lease") .Values.webhook.excludedNamespaces .Values.watch.ignoreNamespaces | uniq | toJson }}
{{- with .Values.watch.namespaces }}
- key: kubernetes.io/metadata.name
  operator: In
  values: {{ toJson . }}
{{- end }}
{{- with .Values.webhook.namespaceSelector }}
{{ toYaml . }}
{{- end }}
{{- range $key, $value := .Values.watch.namespaceSelector.matchLabels }}
- {key: {{ $key | quote }}, operator: In, values: [{{ $value | quote }}]}
{{- end }}
{{- with .Values.watch.namespaceSelector.matchExpressions }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "reroll.webhookAnnotations" -}}
{{- if and (eq .Values.certificates.mode "certManager") .Values.certificates.certManager.injectCa -}}
# The leaf's Secret has the authority that signed it, whatever the issuer is at the moment.
cert-manager.io/inject-ca-from: {{ include "reroll.namespace" . }}/{{ include "reroll.named" (list . "webhook") }}
{{- end }}
{{- with .Values.webhook.annotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The names that API servers call the webhook by. */}}
{{- define "reroll.dnsNames" -}}
- {{ include "reroll.fullname" . }}.{{ include "reroll.namespace" . }}.svc
{{- with .Values.certificates.extraDnsNames }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Whether reroll keeps the certificates itself. */}}
{{- define "reroll.selfManaged" -}}
{{- and .Values.webhook.enabled (eq .Values.certificates.mode "selfManaged") | ternary "yes" "" -}}
{{- end -}}

{{- define "reroll.tlsSecret" -}}
{{- if ne .Values.certificates.mode "existingSecret" -}}
{{- include "reroll.named" (list . "webhook-tls") -}}
{{- else -}}
{{- required "certificates.existingSecret.name is the Secret with tls.crt and tls.key" .Values.certificates.existingSecret.name -}}
{{- end -}}
{{- end -}}

{{/* The flags that give Reloader's annotations other names. */}}
{{- define "reroll.annotationFlags" -}}
auto: auto-annotation
configmapAuto: configmap-auto-annotation
secretAuto: secret-auto-annotation
configmap: configmap-annotation
secret: secret-annotation
search: auto-search-annotation
match: search-match-annotation
ignore: ignore-annotation
pausePeriod: pause-deployment-annotation
{{- end }}

{{/* The condition that an object has an annotation or a label of reroll's, or had such a label. */}}
{{- define "reroll.keyed" -}}
- name: has-a-key-of-rerolls
  expression: >-
    object.?metadata.?annotations.orValue({}).exists(key, key.startsWith('reroll.dev/')) ||
    object.?metadata.?labels.orValue({}).exists(key, key.startsWith('reroll.dev/')) ||
    (oldObject != null && oldObject.?metadata.?labels.orValue({}).exists(key, key.startsWith('reroll.dev/')))
{{- end -}}

{{/* The condition that an object has one of those, or an annotation of Reloader's under its usual name. */}}
{{- define "reroll.keyedOrAsked" -}}
- name: has-a-key-of-rerolls-or-reloaders
  expression: >-
    object.?metadata.?annotations.orValue({}).exists(key, key.startsWith('reroll.dev/') || key.contains('reloader.stakater.com/')) ||
    object.?metadata.?labels.orValue({}).exists(key, key.startsWith('reroll.dev/'))
    {{- range $path := include "reroll.templates" . | fromJsonArray }} ||
    object{{ $path }}.?annotations.orValue({}).exists(key, key.contains('reloader.stakater.com/'))
    {{- end }}
{{- end -}}

{{/* Where the metadata of pod templates stand: of most kinds, and of a CronJob. */}}
{{- define "reroll.templates" -}}
{{- list ".?spec.?template.?metadata" ".?spec.?jobTemplate.?spec.?template.?metadata" | toJson }}
{{- end -}}

{{/* Whether a workload, or its pod template, carries an annotation that may be for reroll: CEL, on one line each. */}}
{{- define "reroll.asks" -}}
{{- $may := list "key.startsWith('reroll.dev/')" "key.contains('reloader.stakater.com/')" }}
{{- range $key := values .Values.optIn.annotations | sortAlpha }}
{{- $may = append $may (printf "key == '%s'" $key) }}
{{- end }}
{{- $may = join " || " $may }}
{{- $lines := list }}
{{- range $object := list "object" "oldObject" }}
{{- range $path := concat (list ".?metadata") (include "reroll.templates" $ | fromJsonArray) }}
{{- $lines = append $lines (printf "(%s != null && %s%s.?annotations.orValue({}).exists(key, %s))" $object $object $path $may) }}
{{- end }}
{{- end }}
{{- /* One that stands as a label does nothing: the webhook says so. */}}
{{- $lines = append $lines "(object != null && object.?metadata.?labels.orValue({}).exists(key, key.startsWith('reroll.dev/')))" }}
{{- join " ||\n" $lines }}
{{- end }}
