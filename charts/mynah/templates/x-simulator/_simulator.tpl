{{/* A simulator: its Service, and one pod that keeps what it was told. Takes (dict "root" $ "part" NAME "port" PORT
     "world" CONFIGMAP). */}}
{{- define "mynah.simulator" }}
{{- $name := include "mynah.name" (dict "root" .root "part" .part) }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels:
    {{- include "mynah.labels" (dict "root" .root "component" .part) | nindent 4 }}
spec:
  selector:
    {{- include "mynah.selector" (dict "root" .root "component" .part) | nindent 4 }}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $name }}
  labels:
    {{- include "mynah.labels" (dict "root" .root "component" .part) | nindent 4 }}
spec:
  serviceName: {{ $name }}
  replicas: 1
  selector:
    matchLabels:
      {{- include "mynah.selector" (dict "root" .root "component" .part) | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "mynah.podLabels" (dict "root" .root "component" .part) | nindent 8 }}
    spec:
      serviceAccountName: {{ include "mynah.name" (dict "root" .root "part" "backing") }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- include "mynah.priority" (dict "root" .root "part" "jobs") | nindent 6 }}
      {{- include "mynah.pullSecrets" .root | nindent 6 }}
      securityContext:
        {{- include "mynah.podSecurity" .root | nindent 8 }}
      containers:
        - name: {{ .part }}
          image: {{ include "mynah.image" (dict "root" .root "part" "jobs") }}
          imagePullPolicy: {{ .root.Values.images.pullPolicy }}
          args:
            - {{ .part }}
            - --host=0.0.0.0
            - --port={{ .port }}
            {{- if .world }}
            - --users=/world/users.jsonl
            - --posts=/world/posts.jsonl
            {{- end }}
          ports: [{name: http, containerPort: {{ .port }}}]
          startupProbe: {httpGet: {path: /health, port: http}, periodSeconds: 1, failureThreshold: 60}
          readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 5}
          resources:
            requests: {cpu: 20m, memory: 256Mi}
            limits: {memory: 256Mi}
          securityContext:
            {{- include "mynah.containerSecurity" .root | nindent 12 }}
          volumeMounts:
            - {name: data, mountPath: /var/lib/mynah}
            - {name: tmp, mountPath: /tmp}
            {{- if .world }}
            - {name: world, mountPath: /world}
            {{- end }}
      volumes:
        - {name: tmp, emptyDir: {}}
        {{- with .world }}
        - {name: world, configMap: {name: {{ . }}}}
        {{- end }}
  # What was posted outlives the pod: a poster that asks what it said must not hear "nothing".
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Retain}
  volumeClaimTemplates:
    - metadata:
        name: data
        labels:
          {{- include "mynah.selector" (dict "root" .root "component" .part) | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        resources: {requests: {storage: 64Mi}}
{{- end }}
