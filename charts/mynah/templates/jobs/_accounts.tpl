{{/* Where a bot posts from this cluster, an account each, with defaults filled in and what its pod needs:
     name, kind, schedule …, cronjob (its CronJob's name), flags, reaches, variables (YAML), posts (whether it has keys).
     Takes (dict "root" $ "name" BOT); gives {"accounts": […]} as JSON.
     An outbox is a file in its pod, which ends with it: it has no CronJob here ("cronjob" is ""). */}}
{{- define "mynah.accounts" -}}
{{- $root := .root -}}
{{- $bot := include "mynah.bot" . | fromJson -}}
{{- $defaults := (.root.Files.Get "files/bot-defaults.yaml" | fromYaml).post -}}
{{- $accounts := list -}}
{{- if $bot.accounts -}}
{{- range $name := keys $bot.accounts | sortAlpha -}}
{{- $given := mergeOverwrite (deepCopy $defaults) (index $bot.accounts $name) -}}
{{- $cronjob := eq $given.kind "outbox" | ternary "" (include "mynah.shortened" (printf "%s-post-%s" $.name $name)) -}}
{{- $more := dict "name" $name "cronjob" $cronjob "flags" (list "--account" $name "--scheduled") -}}
{{- $accounts = append $accounts (mergeOverwrite $given $more) -}}
{{- end -}}
{{- else -}}
{{- $more := dict "name" "main" "kind" "x" "cronjob" (printf "%s-post" .name) "flags" (list "--scheduled") -}}
{{- $accounts = append $accounts (mergeOverwrite $bot.post $more) -}}
{{- end -}}
{{- $found := list -}}
{{- range $accounts -}}
{{- $x := eq .kind "x" -}}
{{- $simulator := include "mynah.name" (dict "root" $root "part" "x-simulator") -}}
{{- $simulated := and $x (not .secret) $root.Values.xSimulator.enabled -}}
{{- $secret := and $x .secret | default ($simulated | ternary $simulator "") -}}
{{- $reaches := list "postgres" -}}
{{- if $simulated }}{{ $reaches = append $reaches "x-simulator" }}{{ else if $secret }}{{ $reaches = append $reaches "internet" }}{{ end -}}
{{- $env := "" -}}
{{- if $secret -}}
{{- $env = include "mynah.xEnv" (dict "secret" $secret "prefix" (.env | default "") "url" ($simulated | ternary (printf "http://%s" $simulator) "")) -}}
{{- end -}}
{{- $found = append $found (merge (dict "reaches" $reaches "variables" $env "posts" (not (empty $secret)) "simulated" $simulated) .) -}}
{{- end -}}
{{- dict "accounts" $found | toJson -}}
{{- end -}}

{{/* The environment of an account on X: its four keys from a Secret, under names that begin with its prefix. */}}
{{- define "mynah.xEnv" }}
{{- range list "X_API_KEY" "X_API_SECRET" "X_ACCESS_TOKEN" "X_ACCESS_TOKEN_SECRET" }}
- name: {{ $.prefix }}{{ . }}
  valueFrom: {secretKeyRef: {name: {{ $.secret }}, key: {{ . }}}}
{{- end }}
{{- with .url }}
- {name: X_API_URL, value: {{ . | quote }}}
{{- end }}
{{- end }}

{{/* A name of at most 52 characters, which a CronJob's may have: a longer one ends in its hash. */}}
{{- define "mynah.shortened" -}}
{{- if le (len .) 52 -}}
{{ . }}
{{- else -}}
{{ trunc 43 . | trimSuffix "-" }}-{{ sha256sum . | trunc 8 }}
{{- end -}}
{{- end -}}
