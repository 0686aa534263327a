{{/* A bot with every default filled in. Takes (dict "root" $ "name" NAME); gives JSON.
     files/bot-defaults.yaml is made from mynah/bot/, so chart and code have the same ones. */}}
{{- define "mynah.bot" -}}
{{- $defaults := .root.Files.Get "files/bot-defaults.yaml" | fromYaml -}}
{{- mergeOverwrite $defaults (deepCopy (index .root.Values.bots .name)) | toJson -}}
{{- end -}}

{{/* Whether a bot with this section serve has no pod until something asks for one; "" if not. Serve.sleeps in mynah/bot. */}}
{{- define "mynah.sleeps" -}}
{{- and (eq .mode "own") (eq (int .replicas) 0) | ternary "true" "" -}}
{{- end -}}

{{/* The bots whose model server sleeps until it is asked, with spaces between their names. */}}
{{- define "mynah.sleepers" -}}
{{- $sleepers := list -}}
{{- range $name := keys .Values.bots | sortAlpha -}}
{{- if include "mynah.sleeps" (include "mynah.bot" (dict "root" $ "name" $name) | fromJson).serve -}}
{{- $sleepers = append $sleepers $name -}}
{{- end -}}
{{- end -}}
{{- join " " $sleepers -}}
{{- end -}}

{{/* The names of the objects that a release has once. */}}
{{- define "mynah.name" -}}
{{ printf "%s-%s" (trunc 35 .root.Release.Name | trimSuffix "-") .part }}
{{- end -}}

{{- define "mynah.image" -}}
{{ index .root.Values.images .part | default (printf "mynah/%s:%s" .part .root.Chart.AppVersion) }}
{{- end -}}

{{/* What selects the pods of this release: (dict "root" $ "component" …), component being optional. */}}
{{- define "mynah.selector" -}}
app.kubernetes.io/part-of: mynah
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "mynah.labels" -}}
{{ include "mynah.selector" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- with .bot }}
mynah/bot: {{ . }}
{{- end }}
{{- end -}}

{{/* Labels of a pod. `reaches` lists what it may connect to (see network-policies.yaml):
     postgres, store, endpoint, play, internet, x-simulator, mastodon-simulator, api-server. */}}
{{- define "mynah.podLabels" -}}
{{ include "mynah.selector" . }}
{{- with .bot }}
mynah/bot: {{ . }}
{{- end }}
{{- range .reaches }}
mynah/reaches-{{ . }}: "true"
{{- end }}
{{- end -}}

{{/* What the `restricted` Pod Security level asks of a pod; 10001 is the images' user. */}}
{{- define "mynah.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "mynah.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "mynah.priority" -}}
{{- if .root.Values.priority.create }}
priorityClassName: {{ .root.Release.Namespace }}-{{ include "mynah.name" . }}
{{- end }}
{{- end -}}

{{- define "mynah.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "mynah.postgresEnv" -}}
{{- with .Values.postgres }}
{{- if eq .kind "local" }}
- {name: PGHOST, value: {{ include "mynah.name" (dict "root" $ "part" "postgres") }}}
- {name: PGUSER, value: mynah}
- {name: PGDATABASE, value: mynah}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "mynah.name" (dict "root" $ "part" "postgres") }}, key: password}}
{{- else if eq .kind "cloudnativepg" }}
- name: DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ include "mynah.name" (dict "root" $ "part" "postgres") }}-app, key: uri}}
{{- else }}
- name: DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .secretKey }}}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "mynah.bucket" -}}
{{ eq .Values.store.kind "gs" | ternary "gs" "s3" }}://{{ .Values.store.bucket }}
{{- end -}}

{{- define "mynah.storeSecret" -}}
{{ eq .Values.store.kind "local" | ternary (include "mynah.name" (dict "root" . "part" "store")) .Values.store.secret }}
{{- end -}}

{{- define "mynah.ports" -}}
[{{ range $i, $port := . }}{{ if $i }}, {{ end }}{protocol: TCP, port: {{ $port }}}{{ end }}]
{{- end -}}

{{- define "mynah.apiKeyEnv" -}}
{{- with .Values.serving.apiKeySecret -}}
- name: MYNAH_API_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: MYNAH_API_KEY}}
{{- end }}
{{- end -}}

{{- define "mynah.storeEnv" -}}
- {name: MYNAH_BUCKET, value: {{ include "mynah.bucket" . }}}
{{- if eq .Values.store.kind "gs" }}
{{- if .Values.store.secret }}
- {name: GOOGLE_APPLICATION_CREDENTIALS, value: /etc/mynah/google/gcloud-application-credentials.json}
{{- end }}
{{- else }}
- {name: AWS_REGION, value: {{ .Values.store.region }}}
{{- if eq .Values.store.kind "local" }}
- {name: AWS_ENDPOINT_URL, value: "http://{{ include "mynah.name" (dict "root" . "part" "store") }}:7070"}
{{- else if .Values.store.endpoint }}
- {name: AWS_ENDPOINT_URL, value: {{ .Values.store.endpoint | quote }}}
{{- end }}
{{- with include "mynah.storeSecret" . }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_ACCESS_KEY_ID}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_SECRET_ACCESS_KEY}}
{{- end }}
{{- end }}
{{- end -}}

{{/* What the pods of all our model servers have in common: (dict "root" $ "of" "bot" or "pool" "name" … "reaches" […]). */}}
{{- define "mynah.predictor" -}}
labels:
  {{- include "mynah.podLabels" (dict "root" .root "component" "serving" "reaches" .reaches) | nindent 2 }}
  mynah/{{ .of }}: {{ .name }}
serviceAccountName: {{ include "mynah.name" (dict "root" .root "part" "serving") }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 70
{{- include "mynah.priority" (dict "root" .root "part" "serving") }}
securityContext:
  {{- include "mynah.podSecurity" . | nindent 2 }}
deploymentStrategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "mynah.selector" (dict "root" .root "component" "serving") | nindent 8 }}
        mynah/{{ .of }}: {{ .name }}
{{- end -}}

{{/* How a model server is asked whether it is well, and how it ends: of a container. */}}
{{- define "mynah.serverProbes" -}}
# A large model is loaded and compiled: up to ten minutes.
startupProbe: {httpGet: {path: /v2/health/ready, port: 8080}, periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 300}
readinessProbe: {httpGet: {path: /v2/health/ready, port: 8080}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 2}
livenessProbe: {httpGet: {path: /v2/health/live, port: 8080}, periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 6}
# First the Services forget the pod (5 s). Then the server answers with `Connection: close` until its clients have
# gone elsewhere, 45 s at the most, and finishes what runs, 54 s in all. A rollout goes on meanwhile.
lifecycle: {preStop: {sleep: {seconds: 5}}}
{{- end -}}

{{/* Where a pod of ours writes, and its bot files: (dict "root" $ "bots" (list NAME) "store" true). */}}
{{- define "mynah.volumes" -}}
- {name: home, emptyDir: {}}
- {name: tmp, emptyDir: {}}
{{- with .bots }}
- name: bots
  projected:
    sources:
      {{- range . }}
      - configMap: {name: {{ . }}-bot}
      {{- end }}
{{- end }}
{{- if and .store (eq .root.Values.store.kind "gs") .root.Values.store.secret }}
- {name: google, secret: {secretName: {{ .root.Values.store.secret }}}}
{{- end }}
{{- end -}}

{{- define "mynah.volumeMounts" -}}
- {name: home, mountPath: /var/lib/mynah}
- {name: tmp, mountPath: /tmp}
{{- with .bots }}
- {name: bots, mountPath: /etc/mynah/bots, readOnly: true}
{{- end }}
{{- if and .store (eq .root.Values.store.kind "gs") .root.Values.store.secret }}
- {name: google, mountPath: /etc/mynah/google, readOnly: true}
{{- end }}
{{- end -}}

{{/* Whole cores in a quantity, at least one: Ray counts no halves. */}}
{{- define "mynah.cores" -}}
{{- if hasSuffix "m" . -}}
{{ max 1 (div (add 999 (trimSuffix "m" . | int)) 1000) }}
{{- else -}}
{{ max 1 (ceil (float64 .) | int) }}
{{- end -}}
{{- end -}}

{{/* A quantity, so many times: (dict "quantity" "2Gi" "by" 3). */}}
{{- define "mynah.times" -}}
{{- $unit := regexFind "[A-Za-z]*$" .quantity -}}
{{- $number := trimSuffix $unit .quantity -}}
{{- if eq (int .by) 1 }}{{ .quantity }}{{ else }}{{ mulf (float64 $number) .by }}{{ $unit }}{{ end -}}
{{- end -}}

{{/* A value of a Secret as it is now, base64; a random one before it exists. */}}
{{- define "mynah.kept" -}}
{{- $secret := lookup "v1" "Secret" .root.Release.Namespace .name | default dict -}}
{{- index (get $secret "data" | default dict) .key | default (randAlphaNum 32 | b64enc) -}}
{{- end -}}
