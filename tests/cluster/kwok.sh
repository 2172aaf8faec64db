#!/usr/bin/env bash
# kwok plays the kubelet of nodes annotated `kwok.x-k8s.io/node: fake`: thousands of nodes and pods
# that are objects only, for measurements of scale.
#   kwok.sh start|stop|status
set -euo pipefail
cd "$(dirname "$0")"
. lib/common.sh
. lib/process.sh

case ${1:-} in
  start)
    [[ -d $RUN ]] || die "no cluster is running: make cluster"
    ./tools.sh kwok
    use_tools
    running kwok || start kwok kwok --kubeconfig "$KUBECONFIG" --config "$HERE/manifests/kwok.yaml" --manage-all-nodes=false \
      --manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake \
      --node-lease-duration-seconds=40
    say "kwok runs (see $LOGS/kwok.log)"
    ;;
  stop) stop kwok ;;
  status) if running kwok; then say "kwok runs"; else die "kwok does not run"; fi ;;
  *) die "usage: kwok.sh start|stop|status" ;;
esac
