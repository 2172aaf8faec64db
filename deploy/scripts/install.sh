#!/usr/bin/env bash
# Installs or upgrades DLF from the working tree: images, namespace, chart. Idempotent.
#   install.sh [HELM_OPTION...]    e.g. --set kubeletDir=/data/kubelet --set-file config=dlf.toml
# With CONTEXT=name on that cluster: see images.sh for what it needs.
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/lib.sh"
use_cluster

# value_of COMPONENT: its key in values.yaml, where `plugin-host` is `pluginHost`.
value_of() {
  local key=$1 rest
  while [[ $key == *-* ]]; do
    rest=${key#*-}
    key=${key%%-*}${rest^}
  done
  printf '%s' "$key"
}

options=()
images=$("$ROOT/deploy/scripts/images.sh")
while read -r component tag; do
  options+=(--set-string "$(value_of "$component").tag=$tag") # digits alone are a tag too
done <<<"$images"
# The test cluster's nodes share a disk with whatever else this machine is used for.
! on_test_cluster || options+=(--set-file "config=$ROOT/tests/cluster/dlf.toml" --set mounter.staging.minFree=1Gi)
[[ -z ${IMAGE_REPOSITORY:-} ]] || options+=(--set "image.repository=$IMAGE_REPOSITORY")

say "installing the chart into namespace $NAMESPACE"
make_namespace
if [[ $(helm history dlf --namespace "$NAMESPACE" --max 1 --output json 2>/dev/null) == *'"status":"uninstalling"'* ]]; then
  say "an uninstallation was refused or cut off: going back to the release before it"
  helm rollback dlf --namespace "$NAMESPACE" >/dev/null
fi
helm upgrade dlf "$ROOT/deploy/chart" --install --namespace "$NAMESPACE" "${options[@]}" "$@" >/dev/null

# show_trouble: what a person would look at first.
show_trouble() {
  kubectl -n "$NAMESPACE" get pods -o wide >&2
  kubectl -n "$NAMESPACE" get events --field-selector type=Warning --sort-by .lastTimestamp | tail -n 15 >&2
  kubectl -n "$NAMESPACE" logs deployment/dlf-operator --all-pods --prefix --tail 15 >&2 || true
  die "DLF does not come up; above: its pods, their warnings, the operator's last lines"
}
for workload in deployment/dlf-operator deployment/dlf-worker daemonset/dlf-csi; do
  kubectl -n "$NAMESPACE" rollout status "$workload" --timeout=180s >/dev/null || show_trouble
  say "$workload is up"
done
say "DLF is installed: kubectl get dlf -A"
