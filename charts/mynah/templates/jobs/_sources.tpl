{{/* What the scraper needs for sources that cost money: accounts on X. What they cost is kept in Postgres, and each is read
     with the token of its Secret. Where none of them names one, it is the simulator that is read: X has one address.
     Takes (dict "root" $ "sources" SOURCES); gives {"reaches": […], "variables": YAML} as JSON. */}}
{{- define "mynah.paidSources" -}}
{{- $simulator := include "mynah.name" (dict "root" .root "part" "x-simulator") -}}
{{- $paid := list "x" "cohort" -}}
{{- $reaches := list -}}
{{- $variables := dict -}}
{{- $url := "" -}}
{{- $secrets := "" -}}
{{- range .sources }}{{ if has .kind $paid }}{{ $secrets = printf "%s%s" $secrets (.secret | default "") }}{{ end }}{{ end -}}
{{- $simulated := and (not $secrets) .root.Values.xSimulator.enabled -}}
{{- range $name := keys .sources | sortAlpha -}}
{{- $source := index $.sources $name -}}
{{- if has $source.kind $paid -}}
{{- $reaches = append $reaches "postgres" -}}
{{- if $simulated -}}
{{- $reaches = append $reaches "x-simulator" -}}
{{- $url = printf "http://%s" $simulator -}}
{{- end -}}
{{- with $source.secret | default ($simulated | ternary $simulator "") -}}
{{- $_ := set $variables (printf "%sX_BEARER_TOKEN" ($source.env | default "")) . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $env := list -}}
{{- range $variable := keys $variables | sortAlpha -}}
{{- $env = append $env (printf "- name: %s\n  valueFrom: {secretKeyRef: {name: %s, key: X_BEARER_TOKEN}}" $variable (index $variables $variable)) -}}
{{- end -}}
{{- if $url }}{{ $env = append $env (printf "- {name: X_API_URL, value: %q}" $url) }}{{ end -}}
{{- dict "reaches" (uniq $reaches) "variables" (join "\n" $env) | toJson -}}
{{- end -}}

{{/* The environment of an account on Telegram, where a source names its Secret. Takes the sources. */}}
{{- define "mynah.telegramEnv" -}}
{{- $secret := "" -}}
{{- range . }}{{ if eq (.kind | default "file") "telegram" }}{{ $secret = .secret | default $secret }}{{ end }}{{ end -}}
{{- if $secret -}}
{{- range list "TELEGRAM_API_ID" "TELEGRAM_API_HASH" "TELEGRAM_SESSION" }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ . }}}}
{{- end }}
{{- end -}}
{{- end -}}
