#!/usr/bin/env bash
# Shows in some seconds that the running cluster is a cluster: a pod on each node, DNS, Services
# from pods, from the other node and from the API server, exec, logs, S3, NFS, node-bound tokens.
set -euo pipefail
cd "$(dirname "$0")"
. lib/common.sh
use_tools
[[ -e $REPO/target/cluster/cluster.env ]] || die "no running cluster of this checkout: run tests/cluster/up.sh"
# shellcheck disable=SC1091 # written by up.sh
. "$REPO/target/cluster/cluster.env"

NS=dlf-smoke
k() { kubectl --request-timeout=30s -n "$NS" "$@"; }
in_pod() { # NODE COMMAND
  k exec "on-$1" -- bash -c "$2"
}
expect() { # WHAT WANTED GOT
  [[ $3 == "$2" ]] || die "$1: wanted '$2', got '$3'"
  say "ok: $1"
}
clean() { kubectl delete namespace "$NS" --ignore-not-found --timeout=120s >/dev/null 2>&1 || true; }

need_root
exclusively smoke
clean
trap clean EXIT
kubectl create namespace "$NS" >/dev/null
wait_for 30 "the namespace's service account" k get serviceaccount default
for node in "${NODES[@]}"; do
  sed -e "s|@NODE@|$node|g" -e "s|@IMAGE@|$TEST_IMAGE|" manifests/smoke-pod.yaml | k apply -f - >/dev/null
done
k wait pods --all --for=condition=Ready --timeout=120s >/dev/null
say "ok: a pod runs on each of ${NODES[*]}"

for node in "${NODES[@]}"; do
  expect "$node: logs" "log of $node" "$(k logs "on-$node")"
  expect "$node: DNS" 10.96.0.1 "$(in_pod "$node" "getent hosts kubernetes.default.svc.cluster.local" | cut -d' ' -f1)"
  for other in "${NODES[@]}"; do
    expect "$node: Service with a pod on $other" "hello from $other" \
      "$(in_pod "$node" "curl -s --retry 5 --retry-connrefused --max-time 5 http://on-$other.$NS.svc:80/")"
  done
  expect "$node: API server → Service" "hello from $node" \
    "$(kubectl get --raw "/api/v1/namespaces/$NS/services/on-$node:80/proxy/")"
  expect "$node: API server → Service IP, as webhooks are called" "hello from $node" \
    "$(curl -sS --max-time 5 "http://$(k get service "on-$node" -o 'jsonpath={.spec.clusterIP}')/")"
  expect "$node: S3" "bytes of $node" "$(in_pod "$node" "
    s3() { curl -sS --fail --max-time 10 --aws-sigv4 aws:amz:us-east-1:s3 --user $S3_KEY:$S3_SECRET \
      -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \"\$@\"; }
    s3 -X PUT $S3_ENDPOINT/smoke-$node; echo bytes of $node | s3 -T - -X PUT $S3_ENDPOINT/smoke-$node/object
    s3 $S3_ENDPOINT/smoke-$node/object; s3 -X DELETE $S3_ENDPOINT/smoke-$node/object; s3 -X DELETE $S3_ENDPOINT/smoke-$node")"
  expect "$node: NFS port" open "$(in_pod "$node" "timeout 3 bash -c \": </dev/tcp/$NFS_SERVER/2049\" && echo open")"
  token=$(in_pod "$node" 'cat /var/run/secrets/kubernetes.io/serviceaccount/token')
  expect "$node: a token names its node" "$node" "$(
    printf '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"%s"}}' "$token" |
      kubectl create -f - -o 'jsonpath={.status.user.extra.authentication\.kubernetes\.io/node-name[0]}'
  )"
done
say "the cluster works; cleaning"
