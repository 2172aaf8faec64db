{{/* dlf.uninstall.hook WEIGHT POLICY...: an object that exists only while `helm uninstall` asks first. */}}
{{- define "dlf.uninstall.hook" -}}
helm.sh/hook: pre-delete
helm.sh/hook-weight: {{ index . 0 | quote }}
helm.sh/hook-delete-policy: {{ slice . 1 | join "," }}
{{- end }}
