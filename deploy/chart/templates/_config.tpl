{{/* The operator's configuration file: the value `config`, and a section for each of `plugins`. */}}
{{- define "dlf.config" -}}
{{- $given := include "dlf.givenConfig" . | fromJson -}}
{{- $text := .Values.config -}}
{{- range $name, $spec := .Values.plugins -}}
  {{- if hasKey ($given.plugins | default dict) $name -}}
    {{- fail (printf "plugins.%s: found [plugins.%s] in the value config too; expected it in one of the two (config is for plugins that the chart does not run)" $name $name) -}}
  {{- end -}}
  {{- $section := printf "[plugins.%s]\ncarrier = \"isolated\"\nurl = \"https://dlf-plugin-%s.%s.svc:8443\"\n" $name $name $.Release.Namespace -}}
  {{- with $spec.grants }}{{ $section = printf "%sgrants = %s\n" $section (include "dlf.toml" .) }}{{ end -}}
  {{- with $spec.config }}{{ $section = printf "%sconfig = %s\n" $section (include "dlf.toml" .) }}{{ end -}}
  {{- $text = printf "%s\n\n%s" ($text | trimSuffix "\n") $section | trimPrefix "\n\n" -}}
{{- end -}}
{{- if and .Values.plugins (regexMatch "(?m)^[ \t]*plugins[ \t]*=" .Values.config) -}}
  {{- fail "config: found `plugins = …`, which no section can be added to; expected a section [plugins.NAME] for each" -}}
{{- end -}}
{{- $error := dig "Error" "" (fromToml $text) -}}
{{- if and .Values.plugins $error -}}
  {{- fail (printf "config cannot be followed by a section for each of plugins: %s" $error) -}}
{{- end -}}
{{- $text -}}
{{- end }}

{{/* The value `config` as JSON. */}}
{{- define "dlf.givenConfig" -}}
{{- $config := fromToml .Values.config -}}
{{- if hasKey $config "Error" }}{{ fail (printf "config is not TOML: %s" $config.Error) }}{{ end -}}
{{- toJson $config -}}
{{- end }}

{{/* Host-path prefixes of the operator's configuration, as a JSON list. */}}
{{- define "dlf.hostPaths" -}}
{{- $config := include "dlf.givenConfig" . | fromJson -}}
{{- $prefixes := list -}}
{{- range $config.host_path }}{{ $prefixes = append $prefixes .prefix }}{{ end -}}
{{- uniq $prefixes | sortAlpha | toJson -}}
{{- end }}

{{/* Users that may write a DatasetInternal beside the operator, as a JSON list: those that the
     configuration names, and the service accounts of plugins that are controllers of their own. */}}
{{- define "dlf.internalWriters" -}}
{{- $config := include "dlf.givenConfig" . | fromJson -}}
{{- $writers := dig "admission" "internal_writers" list $config -}}
{{- range $config.plugins }}{{ with .service_account }}{{ $writers = append $writers . }}{{ end }}{{ end -}}
{{- uniq $writers | sortAlpha | toJson -}}
{{- end }}

{{/* dlf.toml VALUE: on one line. Not `toToml`: Helm reads numbers as floating-point ones, and that
     writes 3 as 3.0, which a plugin that expects a whole number refuses. */}}
{{- define "dlf.toml" -}}
{{- $parts := list -}}
{{- if kindIs "map" . -}}
  {{- range $key, $value := . -}}
    {{- if not (kindIs "invalid" $value) -}}{{/* TOML has no null: as in Helm, it takes the key away */}}
      {{- $parts = append $parts (printf "%s = %s" (toJson $key) (include "dlf.toml" $value)) -}}
    {{- end -}}
  {{- end -}}
  {{- printf "{ %s }" (join ", " $parts) -}}
{{- else if kindIs "slice" . -}}
  {{- range . }}{{ $parts = append $parts (include "dlf.toml" .) }}{{ end -}}
  {{- printf "[%s]" (join ", " $parts) -}}
{{- else -}}
  {{- toJson . -}}
{{- end -}}
{{- end }}
