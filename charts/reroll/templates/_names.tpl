{{/* Names and labels. No name is longer than the 63 characters of a label or a Service. */}}

{{/* The chart's name, which is a label, too. */}}
{{- define "reroll.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What the names of all objects begin with. */}}
{{- define "reroll.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* "FULLNAME-SUFFIX", with FULLNAME cut as needed: (list $ "suffix") */}}
{{- define "reroll.named" -}}
{{- $suffix := last . -}}
{{- printf "%s-%s" (include "reroll.fullname" (first .) | trunc (int (sub 62 (len $suffix))) | trimSuffix "-") $suffix -}}
{{- end -}}

{{- define "reroll.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "reroll.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "reroll.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "reroll.digestKeySecret" -}}
{{- default (include "reroll.named" (list . "digest-key")) .Values.digestKey.secretName -}}
{{- end -}}

{{- define "reroll.lease" -}}
{{- default (include "reroll.fullname" .) .Values.lease.name -}}
{{- end -}}

{{/* What never changes over the life of a release: selectors are immutable. */}}
{{- define "reroll.selectorLabels" -}}
app.kubernetes.io/name: {{ include "reroll.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "reroll.podLabels" -}}
{{ include "reroll.selectorLabels" . }}
app.kubernetes.io/component: controller
{{- end -}}

{{/* The chart's own win over commonLabels: selectors depend on them. */}}
{{- define "reroll.labels" -}}
{{- $own := include "reroll.selectorLabels" . | fromYaml -}}
{{- $own = merge $own (dict
  "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "reroll"
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")) -}}
{{- toYaml (merge $own .Values.commonLabels) -}}
{{- end -}}

{{/* REGISTRY/REPOSITORY:TAG@DIGEST: (dict "image" .Values.image "tag" "default" "global" .Values.global) */}}
{{- define "reroll.image" -}}
{{- with .global.imageRegistry | default .image.registry }}{{ . }}/{{ end -}}
{{- .image.repository }}:{{ default .tag .image.tag -}}
{{- with .image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* Those of reroll, and those that an umbrella chart has for all its charts, by their names or as pods have them. */}}
{{- define "reroll.imagePullSecrets" -}}
{{- $all := .Values.imagePullSecrets }}
{{- range .Values.global.imagePullSecrets }}
{{- $all = append $all (kindIs "string" . | ternary (dict "name" .) .) }}
{{- end }}
{{- with uniq $all }}
{{- toYaml . }}
{{- end }}
{{- end -}}
