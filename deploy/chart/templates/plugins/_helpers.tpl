{{/* dlf.plugin.form (list NAME SPEC): how the plugin comes, `library`, `program` or `script`. */}}
{{- define "dlf.plugin.form" -}}
{{- $forms := list "library" "program" "script" -}}
{{- $found := list -}}
{{- range $forms }}{{ if index $ 1 . }}{{ $found = append $found . }}{{ end }}{{ end -}}
{{- if ne (len $found) 1 -}}
  {{- fail (printf "plugins.%s: found %s; expected exactly one of %s" (index . 0) (join " and " $found | default "none") (join ", " $forms)) -}}
{{- end -}}
{{- first $found -}}
{{- end }}

{{/* dlf.plugin.values (list NAME SPEC), as JSON: the spec over the defaults, which values.yaml lists. A
     value that is given replaces a default as a whole. The uid is one of 20000 to 59999, by the name. */}}
{{- define "dlf.plugin.values" -}}
{{- $uid := add 20000 (mod (index . 0 | adler32sum | int64) 40000) -}}
{{- $defaults := dict "replicas" 1 "uid" $uid "resources" (dict
      "requests" (dict "cpu" "100m" "memory" "64Mi")
      "limits" (dict "cpu" "500m" "memory" "256Mi")) -}}
{{- range $key, $value := index . 1 }}{{ $_ := set $defaults $key $value }}{{ end -}}
{{- toJson $defaults -}}
{{- end }}

{{/* dlf.plugin.init (list $ FORM SPEC): brings the one half that the container's image lacks, the
     author's library or our program, into a volume. */}}
{{- define "dlf.plugin.init" -}}
{{- $root := index . 0 -}}
{{- $form := index . 1 -}}
{{- $values := index . 2 -}}
{{- if eq $form "library" -}}
- name: library
  image: {{ $values.library.image }}
  command: [cp, {{ $values.library.path | quote }}, /plugin/]
  volumeMounts:
    - { name: plugin, mountPath: /plugin }
{{- else -}}
- name: host
  image: {{ include "dlf.image" (list $root "pluginHost") }}
  args: [--copy-to, /host]
  volumeMounts:
    - { name: host, mountPath: /host }
{{- end }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  terminationMessagePolicy: FallbackToLogsOnError
  resources: {{- toYaml $values.resources | nindent 4 }}
  securityContext: {{- include "dlf.restricted" $root | nindent 4 }}
{{- end }}

{{/* dlf.plugin.container (list $ FORM SPEC): image, command and mounts of the plugin's container. */}}
{{- define "dlf.plugin.container" -}}
{{- $root := index . 0 -}}
{{- $form := index . 1 -}}
{{- $values := index . 2 -}}
{{- $answer := list "--listen" "[::]:8443" "--tls" "/tls" -}}
{{- $mounts := list (dict "name" "tls" "mountPath" "/tls" "readOnly" true) (dict "name" "tmp" "mountPath" "/tmp") -}}
{{- if eq $form "library" -}}
  {{- $library := list "--library" (printf "/plugin/%s" (base $values.library.path)) -}}
  {{- with $values.library.sha256 }}{{ $library = concat $library (list "--sha256" .) }}{{ end -}}
image: {{ include "dlf.image" (list $root "pluginHost") }}
args: {{- toYaml (concat $library $answer) | nindent 2 }}
  {{- $mounts = append $mounts (dict "name" "plugin" "mountPath" "/plugin" "readOnly" true) -}}
{{- else -}}
  {{- $program := list -}}
  {{- if eq $form "program" -}}
    {{- $program = $values.program.command -}}
  {{- else -}}
    {{- $program = append $values.script.interpreter (printf "/script/%s" $values.script.key) -}}
    {{- $mounts = append $mounts (dict "name" "script" "mountPath" "/script" "readOnly" true) -}}
  {{- end -}}
image: {{ (index $values $form).image }}
command: {{- toYaml (concat (list "/host/dlf-plugin-host") $answer (list "--") $program) | nindent 2 }}
  {{- $mounts = append $mounts (dict "name" "host" "mountPath" "/host" "readOnly" true) -}}
{{- end }}
volumeMounts: {{- toYaml $mounts | nindent 2 }}
{{- end }}
