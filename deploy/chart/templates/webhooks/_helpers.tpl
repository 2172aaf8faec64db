{{/* dlf.webhook.client (list $ PATH): the operator fills in `caBundle` and touches nothing else. */}}
{{- define "dlf.webhook.client" -}}
clientConfig:
  service: { name: dlf-webhook, namespace: {{ (index . 0).Release.Namespace }}, path: {{ index . 1 }} }
admissionReviewVersions: [v1]
sideEffects: None
failurePolicy: Fail
matchPolicy: Equivalent
timeoutSeconds: {{ (index . 0).Values.webhook.timeoutSeconds }}
{{- end }}

{{/* Namespaces whose pods may ask for datasets. Not ours: the operator's own pods must start
     without the operator, and a cache never waits for a dataset. */}}
{{- define "dlf.webhook.namespaces" -}}
namespaceSelector:
  matchExpressions:
    - { key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, {{ .Release.Namespace }}, {{ include "dlf.cachesNamespace" . }}] }
    - { key: monitor-pods-datasets, operator: NotIn, values: [disabled] }
{{- end }}

{{/* CEL: whether OBJECT carries a label `dataset.X.KEY` where X is an integer or KEY is one of ours.
     Other labels that begin with `dataset` are somebody else's. */}}
{{- define "dlf.webhook.asks" -}}
{{ . }}.metadata.?labels.orValue({}).exists(key, key.matches('^dataset[.](-?[0-9]+[.][^./]+|[^./]*[.](id|useas))$'))
{{- end }}
