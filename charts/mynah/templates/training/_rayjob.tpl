{{/* The spec of a RayJob that trains one bot: (dict "root" $ "name" BOT "bot" its values). */}}
{{- define "mynah.rayjob" -}}
{{- $training := .root.Values.training -}}
{{- $ray := .bot.ray -}}
{{- $gpu := eq $ray.accelerator "gpu" -}}
{{- $image := $ray.image | default (include "mynah.image" (dict "root" .root "part" "training")) -}}
{{- $fetches := .bot.train.packages | empty | ternary list (list "internet") -}}
# Driver and dataset are on the head, which does no training itself. It takes the run for itself in Postgres.
entrypoint: mynah ray-job {{ .name }}
submissionMode: K8sJobMode
shutdownAfterJobFinishes: true
ttlSecondsAfterFinished: {{ $training.ttlSeconds }}
activeDeadlineSeconds: {{ $training.deadlineSeconds }}
backoffLimit: {{ $training.backoffLimit }}
submitterPodTemplate:
  metadata:
    labels:
      {{- include "mynah.podLabels" (dict "root" .root "component" "training" "bot" .name) | nindent 6 }}
  spec:
    restartPolicy: Never
    {{- include "mynah.rayPod" .root | nindent 4 }}
    containers:
      - name: ray-job-submitter
        image: {{ $image }}
        imagePullPolicy: {{ .root.Values.images.pullPolicy }}
        resources:
          requests: {cpu: 50m, memory: 512Mi}
          limits: {memory: 512Mi}
        securityContext:
          {{- include "mynah.containerSecurity" . | nindent 10 }}
        volumeMounts:
          {{- include "mynah.volumeMounts" (dict "root" .root) | nindent 10 }}
    volumes:
      {{- include "mynah.volumes" (dict "root" .root) | nindent 6 }}
rayClusterSpec:
  rayVersion: 2.60.0
  enableInTreeAutoscaling: true
  autoscalerOptions:
    idleTimeoutSeconds: 60 # a worker that waits for the model's export is a node paid for nothing
    imagePullPolicy: {{ .root.Values.images.pullPolicy }}
    resources:
      requests: {cpu: 50m, memory: 512Mi}
      limits: {memory: 512Mi}
    securityContext:
      {{- include "mynah.containerSecurity" . | nindent 6 }}
    volumeMounts: # the only one that may ask the API server
      - {name: api-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
      - {name: home, mountPath: /var/lib/mynah}
  headGroupSpec:
    rayStartParams: {num-cpus: "0", dashboard-host: 0.0.0.0, object-store-memory: "100000000"}
    template:
      metadata:
        labels:
          {{- include "mynah.podLabels" (dict "root" .root "component" "training" "bot" .name "reaches" (concat (list "store" "postgres" "api-server") $fetches)) | nindent 10 }}
      spec:
        {{- include "mynah.rayPod" .root | nindent 8 }}
        containers:
          - name: ray-head
            image: {{ $image }}
            imagePullPolicy: {{ .root.Values.images.pullPolicy }}
            env:
              {{- include "mynah.storeEnv" .root | nindent 14 }}
              {{- include "mynah.postgresEnv" .root | nindent 14 }}
              - {name: MYNAH_USER, value: ray.schedule} # `mynah train` puts its caller here
              - {name: RAY_USAGE_STATS_ENABLED, value: "0"}
            ports:
              - {name: gcs-server, containerPort: 6379}
              - {name: dashboard, containerPort: 8265}
              - {name: client, containerPort: 10001}
            # KubeRay's own probes need wget, which the image has not.
            startupProbe: {httpGet: {path: /api/gcs_healthz, port: 8265}, periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 120}
            readinessProbe: {httpGet: {path: /api/gcs_healthz, port: 8265}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 6}
            livenessProbe: {httpGet: {path: /api/gcs_healthz, port: 8265}, periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 12}
            resources:
              requests: {cpu: {{ $training.headCpu }}, memory: {{ $training.headMemory }}}
              limits: {memory: {{ $training.headMemory }}}
            securityContext:
              {{- include "mynah.containerSecurity" . | nindent 14 }}
            volumeMounts:
              {{- include "mynah.volumeMounts" (dict "root" .root "bots" (list .name) "store" true) | nindent 14 }}
              - {name: shared-memory, mountPath: /dev/shm}
        volumes:
          {{- include "mynah.volumes" (dict "root" .root "bots" (list .name) "store" true) | nindent 10 }}
          - {name: shared-memory, emptyDir: {medium: Memory, sizeLimit: 256Mi}}
          - name: api-token
            projected:
              sources:
                - serviceAccountToken: {path: token}
                - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
                - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
  workerGroupSpecs:
    - groupName: workers
      {{- $workers := kindIs "slice" .bot.train.workers | ternary .bot.train.workers (list .bot.train.workers) | last }}
      replicas: {{ $workers }}
      minReplicas: 0
      maxReplicas: {{ $workers }}
      rayStartParams: {num-cpus: {{ include "mynah.cores" $ray.cpu | quote }}, object-store-memory: "100000000"}
      template:
        metadata:
          labels:
            {{- include "mynah.podLabels" (dict "root" .root "component" "training" "bot" .name "reaches" (concat (list "store") $fetches)) | nindent 12 }}
        spec:
          {{- include "mynah.rayPod" .root | nindent 10 }}
          {{- if $gpu }}
          {{- with $training.gpuNodeSelector }}
          nodeSelector:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- with $training.gpuTolerations }}
          tolerations:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- end }}
          containers:
            - name: ray-worker
              image: {{ $image }}
              imagePullPolicy: {{ .root.Values.images.pullPolicy }}
              env:
                {{- include "mynah.storeEnv" .root | nindent 16 }}
                - {name: OMP_NUM_THREADS, value: {{ include "mynah.cores" $ray.cpu | quote }}}
              startupProbe: {httpGet: {path: /api/local_raylet_healthz, port: 52365}, periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 120}
              readinessProbe: {httpGet: {path: /api/local_raylet_healthz, port: 52365}, periodSeconds: 5, timeoutSeconds: 10, failureThreshold: 6}
              livenessProbe: {httpGet: {path: /api/local_raylet_healthz, port: 52365}, periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 12}
              resources:
                requests: {cpu: {{ $ray.cpu }}, memory: {{ $ray.memory }}{{ if $gpu }}, nvidia.com/gpu: 1{{ end }}}
                limits: {memory: {{ $ray.memory }}{{ if $gpu }}, nvidia.com/gpu: 1{{ end }}}
              securityContext:
                {{- include "mynah.containerSecurity" . | nindent 16 }}
              volumeMounts:
                {{- include "mynah.volumeMounts" (dict "root" .root "store" true) | nindent 16 }}
                - {name: shared-memory, mountPath: /dev/shm}
          volumes:
            {{- include "mynah.volumes" (dict "root" .root "store" true) | nindent 12 }}
            - {name: shared-memory, emptyDir: {medium: Memory, sizeLimit: {{ $training.sharedMemory }}}}
{{- end -}}

{{- define "mynah.rayPod" -}}
serviceAccountName: {{ include "mynah.name" (dict "root" . "part" "ray") }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- include "mynah.priority" (dict "root" . "part" "training") }}
{{- include "mynah.pullSecrets" . }}
securityContext:
  {{- include "mynah.podSecurity" . | nindent 2 }}
{{- end -}}
