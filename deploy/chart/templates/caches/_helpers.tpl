{{/* A namespace of its own: it goes with the release, and what runs there has no neighbour with keys. */}}
{{- define "dlf.cachesNamespace" -}}
{{- $name := .Values.caches.namespace -}}
{{- if has $name (list .Release.Namespace "default" "kube-system" "kube-public" "kube-node-lease") -}}
  {{- fail (printf "caches.namespace: found %s; expected a namespace that is neither the release's nor Kubernetes' own, because it is made and deleted with the release" $name) -}}
{{- end -}}
{{- $name -}}
{{- end }}
