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
{{- $about := get (include "mynah.accountKinds" $root | fromJson) .kind | default dict -}}
{{- $part := printf "%s-simulator" .kind -}}
{{- $simulator := include "mynah.name" (dict "root" $root "part" $part) -}}
{{- $simulated := and (not .secret) (get $about "simulated" | default false) -}}
{{- $secret := and $about .secret | default ($simulated | ternary $simulator "") -}}
{{- $reaches := list "postgres" -}}
{{- if $simulated }}{{ $reaches = append $reaches $part }}{{ else if $secret }}{{ $reaches = append $reaches "internet" }}{{ end -}}
{{- $flags := .flags -}}
{{- $variables := "" -}}
{{- if $secret -}}
{{- $variables = include "mynah.accountEnv" (dict "secret" $secret "prefix" (.env | default "") "about" $about) -}}
{{- if and $simulated (eq .kind "x") -}}
{{- $variables = printf "%s\n- {name: X_API_URL, value: \"http://%s\"}" $variables $simulator -}}
{{- else if $simulated -}}
{{- $flags = concat .flags (list "--set" (printf "bots.%s.accounts.%s.server=http://%s" $.name .name $simulator)) -}}
{{- end -}}
{{- end -}}
{{- $more := dict "reaches" $reaches "variables" $variables "posts" (not (empty $secret)) "flags" $flags -}}
{{- $found = append $found (mergeOverwrite . $more (dict "simulated" $simulated "simulator" $simulator "keys" (get $about "keys"))) -}}
{{- end -}}
{{- dict "accounts" $found | toJson -}}
{{- end -}}

{{/* What a kind of account needs: the keys of its Secret, those that may be left out, and whether its simulator runs here. */}}
{{- define "mynah.accountKinds" -}}
{{- dict
  "x" (dict "keys" (list "X_API_KEY" "X_API_SECRET" "X_ACCESS_TOKEN" "X_ACCESS_TOKEN_SECRET") "simulated" .Values.xSimulator.enabled)
  "mastodon" (dict "keys" (list "MASTODON_ACCESS_TOKEN") "optional" (list "MASTODON_SERVER") "simulated" .Values.mastodonSimulator.enabled)
  "bluesky" (dict "keys" (list "BLUESKY_APP_PASSWORD") "optional" (list "BLUESKY_HANDLE"))
| toJson -}}
{{- end -}}

{{/* The environment of an account: the keys of its Secret, under names that begin with its prefix. */}}
{{- define "mynah.accountEnv" }}
{{- range .about.keys }}
- name: {{ $.prefix }}{{ . }}
  valueFrom: {secretKeyRef: {name: {{ $.secret }}, key: {{ . }}}}
{{- end }}
{{- range .about.optional }}
- name: {{ $.prefix }}{{ . }}
  valueFrom: {secretKeyRef: {name: {{ $.secret }}, key: {{ . }}, optional: true}}
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
