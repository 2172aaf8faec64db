{{/* Names are fixed, not made from the release's: webhook configurations, the CSI driver and the
     CRDs exist once in a cluster, and nodes find the operator by its name. */}}

{{- define "dlf.labels" -}}
app.kubernetes.io/name: dlf
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* dlf.selector COMPONENT: also all labels of its pods, so that an upgrade of the chart that changes
     nothing for them restarts none. */}}
{{- define "dlf.selector" -}}
app.kubernetes.io/name: dlf
app.kubernetes.io/component: {{ . }}
{{- end }}

{{/* dlf.image (list $ COMPONENT): a component as in the values, whose image has hyphens for capitals. */}}
{{- define "dlf.image" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- with $root.Values.image.repository }}{{ . }}/{{ end -}}
dlf-{{ kebabcase $component }}:{{ (index $root.Values $component).tag | default $root.Values.image.tag | default $root.Chart.AppVersion }}
{{- end }}

{{/* dlf.pod (list $ COMPONENT [VALUES]): what the pods of all components have in common. VALUES: those
     of the component, where they do not stand under its name. */}}
{{- define "dlf.pod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := ternary (last .) (index $root.Values $component) (eq (len .) 3) -}}
serviceAccountName: dlf-{{ $component }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
nodeSelector:
  kubernetes.io/os: linux
  {{- with $values.nodeSelector }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "dlf.env" -}}
- name: DLF_LOG
  value: {{ .Values.log.filter | quote }}
- name: DLF_LOG_FORMAT
  value: {{ .Values.log.format }}
- name: DLF_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: DLF_POD
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
{{- end }}

{{/* How the node driver and the worker reach the operator and show who they are. */}}
{{- define "dlf.client.env" -}}
- name: DLF_OPERATOR
  value: dlf-nodes.{{ .Release.Namespace }}.svc:{{ .Values.operator.nodesPort }}
- name: DLF_CA
  value: /etc/dlf/ca/ca.crt
- name: DLF_TOKEN
  value: /var/run/secrets/dlf/token
{{- end }}

{{- define "dlf.client.volumeMounts" -}}
- { name: ca, mountPath: /etc/dlf/ca, readOnly: true }
- { name: token, mountPath: /var/run/secrets/dlf, readOnly: true }
{{- end }}

{{- define "dlf.client.volumes" -}}
- name: ca
  configMap:
    name: dlf-ca
- name: token
  projected:
    defaultMode: 0400
    sources:
      - serviceAccountToken: { audience: dlf-operator, path: token, expirationSeconds: 3600 }
{{- end }}

{{- define "dlf.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "dlf.restrictedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* The distribution is seen by what it puts on its nodes or into its version. */}}
{{- define "dlf.kubeletDir" -}}
{{- if .Values.kubeletDir -}}
{{ .Values.kubeletDir }}
{{- else if contains "+k0s" .Capabilities.KubeVersion.Version -}}
/var/lib/k0s/kubelet
{{- else -}}
{{- $microk8s := false -}}
{{- range (lookup "v1" "Node" "" "").items -}}
{{- if hasKey (.metadata.labels | default dict) "microk8s.io/cluster" }}{{ $microk8s = true }}{{ end -}}
{{- end -}}
{{- ternary "/var/snap/microk8s/common/var/lib/kubelet" "/var/lib/kubelet" $microk8s -}}
{{- end -}}
{{- end }}

{{- define "dlf.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:dlf-operator
{{- end }}
