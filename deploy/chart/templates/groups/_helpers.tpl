{{/* The API groups that are served, as a JSON list: in a manifest it is a list as well. */}}
{{- define "dlf.apiGroups" -}}
{{- uniq .Values.apiGroups | sortAlpha | toJson -}}
{{- end }}

{{/* Those that are not, as a JSON list. */}}
{{- define "dlf.apiGroups.leftOut" -}}
{{- $leftOut := list -}}
{{- range list "com.ie.ibm.hpsys" "datashim.io" -}}
  {{- if not (has . $.Values.apiGroups) }}{{ $leftOut = append $leftOut . }}{{ end -}}
{{- end -}}
{{- toJson $leftOut -}}
{{- end }}

{{/* Refuses to leave out a group that has Datasets: nobody would look after them any more. Where there is
     no cluster to look at, as with `helm template`, nothing is refused, and nothing is rendered otherwise. */}}
{{- define "dlf.apiGroups.check" -}}
{{- range $group := include "dlf.apiGroups.leftOut" . | fromJsonArray -}}
  {{- $version := printf "%s/v1alpha1" $group -}}
  {{- if $.Capabilities.APIVersions.Has (printf "%s/Dataset" $version) -}}
    {{- $names := list -}}
    {{- range (lookup $version "Dataset" "" "").items -}}
      {{- $names = append $names (printf "%s/%s" .metadata.namespace .metadata.name) -}}
    {{- end -}}
    {{- if $names -}}
      {{- $shown := slice $names 0 (min 5 (len $names)) | join ", " -}}
      {{- fail (printf "apiGroups: found no %s in it, while that group has %d Dataset%s (%s%s); serve the group too, or delete them first, and make them anew in a group that is served" $group (len $names) (ternary "" "s" (eq (len $names) 1)) $shown (ternary ", …" "" (gt (len $names) 5))) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end }}
