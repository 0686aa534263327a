{{/* A CronJob that runs one verb of one bot: (dict "root" $ "name" BOT "verb" VERB "schedule" {…} "reaches" […]
     "account" SERVICEACCOUNT "token" true "flags" […] "env" YAML "startWithin" seconds "deadline" seconds "retries" n
     "cronjob" its name, "to" where it posts, "server" a bot's section serve, for a model server beside it); token, flags,
     cronjob, to and server are optional. */}}
{{- define "mynah.cronjob" }}
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ .cronjob | default (printf "%s-%s" .name .verb) }}
  labels:
    {{- include "mynah.labels" (dict "root" .root "component" .verb "bot" .name) | nindent 4 }}
    {{- with .to }}
    mynah/account: {{ . }}
    {{- end }}
spec:
  schedule: {{ .schedule.schedule | quote }}
  timeZone: {{ .schedule.time_zone }}
  suspend: {{ or .schedule.suspend .suspend | default false }}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: {{ .startWithin }}
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 3
  jobTemplate:
    metadata:
      labels:
        {{- include "mynah.labels" (dict "root" .root "component" .verb "bot" .name) | nindent 8 }}
        {{- with .to }}
        mynah/account: {{ . }}
        {{- end }}
    spec:
      backoffLimit: {{ .retries }}
      activeDeadlineSeconds: {{ .deadline }}
      template:
        metadata:
          labels:
            {{- include "mynah.podLabels" (dict "root" .root "component" .verb "bot" .name "reaches" .reaches) | nindent 12 }}
        spec:
          restartPolicy: Never
          serviceAccountName: {{ include "mynah.name" (dict "root" .root "part" .account) }}
          automountServiceAccountToken: {{ .token | default false }}
          enableServiceLinks: false
          {{- include "mynah.priority" (dict "root" .root "part" "jobs") | nindent 10 }}
          {{- include "mynah.pullSecrets" .root | nindent 10 }}
          securityContext:
            {{- include "mynah.podSecurity" . | nindent 12 }}
          {{- with .server }}
          initContainers:
            # A native sidecar: there before the job, and gone with it.
            - name: server
              restartPolicy: Always
              image: {{ include "mynah.image" (dict "root" $.root "part" "serving") }}
              imagePullPolicy: {{ $.root.Values.images.pullPolicy }}
              command: [mynah]
              args: [serve, {{ $.name }}, --paged, --host, 0.0.0.0, --port, "8080"]
              env:
                {{- $.env | trim | nindent 16 }}
              startupProbe: {httpGet: {path: /v2/health/ready, port: 8080}, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 300}
              resources:
                requests: {cpu: {{ .cpu }}, memory: {{ .memory }}}
                limits: {memory: {{ .memory }}}
              securityContext:
                {{- include "mynah.containerSecurity" $ | nindent 16 }}
              volumeMounts:
                {{- include "mynah.volumeMounts" (dict "root" $.root "store" true) | nindent 16 }}
          {{- end }}
          containers:
            - name: {{ .verb }}
              image: {{ include "mynah.image" (dict "root" .root "part" "jobs") }}
              imagePullPolicy: {{ .root.Values.images.pullPolicy }}
              args: {{ concat (list .verb .name) (.flags | default list) | toJson }}
              env:
                {{- .env | trim | nindent 16 }}
              resources:
                requests: {cpu: {{ .root.Values.jobs.cpu }}, memory: {{ .root.Values.jobs.memory }}}
                limits: {memory: {{ .root.Values.jobs.memory }}}
              securityContext:
                {{- include "mynah.containerSecurity" . | nindent 16 }}
              volumeMounts:
                {{- include "mynah.volumeMounts" (dict "root" .root "bots" (list .name) "store" (has "store" .reaches)) | nindent 16 }}
          volumes:
            {{- include "mynah.volumes" (dict "root" .root "bots" (list .name) "store" (has "store" .reaches)) | nindent 12 }}
{{- end }}

{{/* Where alerts go, and what signs the links in them, where a bot's section alerts names their Secret. */}}
{{- define "mynah.alertsEnv" -}}
{{- if .secret -}}
- name: MYNAH_ALERTS
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: MYNAH_ALERTS}}
- name: MYNAH_SIGNING_KEY
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: MYNAH_SIGNING_KEY, optional: true}}
{{- end -}}
{{- end -}}
