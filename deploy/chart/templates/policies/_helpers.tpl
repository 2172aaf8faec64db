{{/* Rules that the API server judges itself, with an operator or without. */}}

{{/* dlf.policy.binding (list $ NAME): has the policy refuse, everywhere that it matches. */}}
{{- define "dlf.policy.binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ index . 1 }}
  labels: {{- include "dlf.labels" (index . 0) | nindent 4 }}
spec:
  policyName: {{ index . 1 }}
  validationActions: [Deny]
{{- end }}

{{/* CEL, dlf.policy.changed (list MAP PATTERN MORE): keys whose value differs between oldObject and
     object in that map of their metadata, of those that match the pattern and one more. A pattern costs
     more than a comparison, and a pod may have thousands of others' keys. */}}
{{- define "dlf.policy.changed" -}}
{{- $old := printf "oldObject.metadata.?%s.orValue({})" (index . 0) -}}
{{- $new := printf "object.metadata.?%s.orValue({})" (index . 0) -}}
{{- $ours := printf "(key == '%s' || key.startsWith('dataset.') && key.matches('%s'))" (index . 2) (index . 1) -}}
{{ $new }}.filter(key, {{ $ours }} && {{ $new }}[?key] != {{ $old }}[?key])
+ {{ $old }}.filter(key, {{ $ours }} && !(key in {{ $new }}))
{{- end }}

{{/* What follows the key of a pod that is not to change. */}}
{{- define "dlf.policy.pods.kept" -}}
: cannot be changed on a pod that is there: its datasets are given to it when it is made; change the template, or delete the pod and make it anew
{{- end }}

{{/* What follows the object that the operator is not to write. */}}
{{- define "dlf.policy.operator.labelled" -}}
: the operator writes and deletes what Datasets made (label dlf.dev/dataset-uid, before and after) and certificates of its own namespace, and nothing else; use another account for this, and if the operator itself asked for it, report that
{{- end }}
{{- define "dlf.policy.operator.type" -}}
: the operator makes Secrets of type Opaque, and kubernetes.io/tls for its plugins; use another account for this
{{- end }}
{{- define "dlf.policy.operator.driver" -}}
: the operator makes volumes of driver csi.dlf.dev; use another account for this
{{- end }}
