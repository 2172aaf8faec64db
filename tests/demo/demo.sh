#!/usr/bin/env bash
# From nothing to a Job that reads a data set by name, on a real Kubernetes.
# On the test cluster nothing has to be there; on CONTEXT=name it needs an S3 that this machine and
# the cluster's pods reach: S3_ENDPOINT, S3_KEY, S3_SECRET (and what deploy/scripts/images.sh needs).
# Run it again as often as you like.
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../../deploy/scripts/lib.sh"
# shellcheck source=tests/demo/data.sh
. "$(dirname "$0")/data.sh"

DEMO=dlf-demo # namespace and bucket
DATA=$ROOT/target/demo
STEPS=6
step=0
step() {
  step=$((step + 1))
  printf '\n== %s of %s: %s\n' "$step" "$STEPS" "$*" >&2
}
k() { kubectl -n "$DEMO" "$@"; }

s3() { # METHOD PATH [CURL_OPTION...]
  local method=$1 path=$2
  shift 2
  curl -sS --fail --max-time 60 --aws-sigv4 "aws:amz:${S3_REGION:-us-east-1}:s3" --user "$S3_KEY:$S3_SECRET" \
    -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -X "$method" "$@" "$S3_ENDPOINT/$path"
}

make_bucket() { s3 HEAD "$DEMO" -I >/dev/null 2>&1 || s3 PUT "$DEMO" >/dev/null; }

upload() {
  local file
  s3 DELETE "$DEMO/results/means.csv" >/dev/null 2>&1 || true # an earlier run's
  while read -r _ file; do
    s3 PUT "$DEMO/$file" -T "$DATA/$file" >/dev/null
  done <"$DATA/SHA256SUMS"
  s3 PUT "$DEMO/SHA256SUMS" -T "$DATA/SHA256SUMS" >/dev/null
}

dataset() {
  cat <<YAML
apiVersion: com.ie.ibm.hpsys/v1alpha1
kind: Dataset
metadata:
  name: test
spec:
  local:
    type: "COS"
    accessKeyID: "$S3_KEY"
    secretAccessKey: "$S3_SECRET"
    endpoint: "$S3_ENDPOINT"
    bucket: "$DEMO"
    region: ""
YAML
}

# All that makes it a Job with data are the two labels.
job() {
  cat <<YAML
apiVersion: batch/v1
kind: Job
metadata:
  name: means
spec:
  backoffLimit: 0
  template:
    metadata:
      labels:
        dataset.0.id: "test"
        dataset.0.useas: "mount"
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      containers:
        - name: means
          image: $TEST_IMAGE
          command: ["sh", "-c"]
          args:
            - |
$(sed 's/^/              /' "$(dirname "$0")/job.sh")
YAML
}

# wait_for_job: or the first reason why it does not end.
wait_for_job() {
  local end=$((SECONDS + 180)) status
  while ((SECONDS < end)); do
    status=$(k get job means -o 'jsonpath={.status.conditions[?(@.status=="True")].type}')
    case " $status " in
      *" Complete "*) return 0 ;;
      *" Failed "*) break ;;
    esac
    sleep 0.5 # the interval of this bounded poll
  done
  k get dlf,pods >&2 || true
  k get events --field-selector type=Warning >&2 || true
  k logs job/means >&2 || true
  die "the Job did not succeed; above: the Dataset, its pod, the warnings, the Job's log"
}

step "A Kubernetes cluster"
if on_test_cluster; then "$ROOT/tests/cluster/up.sh"; fi
use_cluster
[[ -n ${S3_ENDPOINT:-} && -n ${S3_KEY:-} && -n ${S3_SECRET:-} ]] ||
  die "with CONTEXT the demo needs an S3: set S3_ENDPOINT, S3_KEY and S3_SECRET"
TEST_IMAGE=${TEST_IMAGE:-docker.io/library/debian:bookworm-slim} # a shell, sha256sum and awk
kubectl get nodes

step "DLF, from this working tree"
"$ROOT/deploy/scripts/install.sh"

step "A data set in bucket '$DEMO' of $S3_ENDPOINT"
make_data "$DATA"
make_bucket
upload
say "$(wc -l <"$DATA/SHA256SUMS") files, $(du -sm "$DATA" | cut -f1) MB, with a list of checksums"

step "The Dataset: where the data is, said once"
kubectl create namespace "$DEMO" --dry-run=client -o yaml | kubectl apply -f - >/dev/null
k delete job means --ignore-not-found --wait >/dev/null
dataset | k apply -f -
dataset | sed 's/\(secretAccessKey:\).*/\1 "…"/; s/^/    /' >&2

step "A Job that names it in a label, and finds it at /mnt/datasets/test"
job | k apply -f -
job | sed -n '/labels:/,/useas/p' >&2
wait_for_job
k logs job/means

step "The result, read from S3"
s3 GET "$DEMO/results/means.csv" -o "$DATA/means.csv"
awk -f "$DATA/means.awk" "$DATA"/readings/*.csv | sort | diff - "$DATA/means.csv" >/dev/null || die "the Job's result is not what this machine computes from the same data"
cat "$DATA/means.csv"
say "it is what this machine computes from the same data"

printf '\n'
k get dlf
cat <<TEXT

What to try next:
  kubectl -n $DEMO describe dataset.com.ie.ibm.hpsys test    # conditions, events
  kubectl -n $DEMO get pvc,configmap test                    # what the Dataset made
  kubectl -n $DEMO run shell -it --rm --image=$TEST_IMAGE \\
      --labels=dataset.0.id=test -- ls -l /mnt/datasets/test
  kubectl -n $DEMO delete dataset.com.ie.ibm.hpsys test      # and all it made is gone; the bucket stays
  examples/                                                  # NFS, several datasets, private CAs, ...
TEXT
if on_test_cluster; then
  cat <<TEXT
  export KUBECONFIG=$KUBECONFIG             # kubectl then speaks to this cluster
  make cluster-down                                          # stop it
TEXT
fi
