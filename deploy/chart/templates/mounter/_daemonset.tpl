{{/* The mounter's DaemonSet. Its SHA-256 names the revision, and a new revision means new processes
     for all new mounts: nothing may stand here that changes with each release of the chart. */}}
{{- define "dlf.mounter" -}}
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: dlf-mounter # the operator appends the revision
  labels: {{- include "dlf.selector" "mounter" | nindent 4 }}
spec:
  revisionHistoryLimit: 0
  updateStrategy:
    type: OnDelete # it never changes: a new revision is another DaemonSet
  selector:
    matchLabels: {{- include "dlf.selector" "mounter" | nindent 6 }}
  template:
    metadata:
      labels: {{- include "dlf.selector" "mounter" | nindent 8 }}
      {{- with .Values.mounter.podAnnotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "dlf.pod" (list . "mounter") | nindent 6 }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      securityContext:
        # Root without privilege: it may only become somebody else, one uid per dataset.
        runAsUser: 0
        runAsGroup: 0
        seccompProfile: { type: RuntimeDefault }
      containers:
        - name: mounter
          image: {{ include "dlf.image" (list . "mounter") }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          env:
            {{- include "dlf.env" . | nindent 12 }}
            - name: DLF_SOCKET_DIR
              value: /run/dlf
            - name: DLF_STAGING_DIR
              value: /staging
          resources: {{- toYaml .Values.mounter.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: { drop: [ALL], add: [KILL, SETGID, SETUID] }
          volumeMounts:
            # The operator adds this variable. A revision does not see another's socket.
            - { name: mounters, mountPath: /run/dlf, subPathExpr: $(DLF_MOUNTER_REVISION) }
            - { name: staging, mountPath: /staging }
      volumes:
        - name: mounters
          hostPath:
            path: {{ include "dlf.kubeletDir" . }}/plugins/csi.dlf.dev/mounters
            type: DirectoryOrCreate
        # Not an emptyDir: what a dataset has there outlives a mounter, and at its sizeLimit the kubelet
        # would evict the pod and every mount of the node with it. The driver makes a directory for
        # each dataset in it and tells its limits, at which one file gets an error.
        - name: staging
          hostPath:
            path: {{ include "dlf.kubeletDir" . }}/plugins/csi.dlf.dev/staging
            type: DirectoryOrCreate
{{- end }}
