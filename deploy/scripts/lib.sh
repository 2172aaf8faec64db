# shellcheck shell=bash
# What install, images and the demo share: progress, and which cluster they work on. Sourced.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CLUSTER_ENV=$ROOT/target/cluster/cluster.env
# shellcheck disable=SC2034 # used by those who source this
NAMESPACE=${DLF_NAMESPACE:-dlf-system}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/dlf/target}
umask 022
shopt -s inherit_errexit # `set -e` holds in $(...) too
BEGAN=$(date +%s%N)

# say TEXT: one line of progress with the seconds since the script began.
say() {
  local ms=$((($(date +%s%N) - BEGAN) / 1000000))
  printf '%4d.%ds  %s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$*" >&2
}

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# own_target_directory: cargo looks at the times of files, not into them, and so takes what another checkout built
# for what this one's older files say. Whoever comes after another makes its files newer than all of that.
own_target_directory() {
  local owner=$CARGO_TARGET_DIR/checkout
  [[ $(cat "$owner" 2>/dev/null) == "$ROOT" ]] && return
  find "$ROOT" -name .git -prune -o -path "$ROOT/target" -prune -o -type f -exec touch --no-create {} +
  mkdir -p "$CARGO_TARGET_DIR"
  printf '%s\n' "$ROOT" >"$owner"
}
own_target_directory

on_test_cluster() { [[ -z ${CONTEXT:-} ]]; }

# use_cluster: kubectl and helm speak to CONTEXT of the user's kubeconfig if it is given, else to the
# test cluster. An exported KUBECONFIG alone chooses nothing: too easily it is another cluster's.
use_cluster() {
  local given=${KUBECONFIG:-}
  if on_test_cluster; then
    [[ -e $CLUSTER_ENV ]] || die "no test cluster runs. Start one with 'make cluster', or name a context of your kubeconfig: CONTEXT=name"
    set -a
    # shellcheck disable=SC1090 # made by `make cluster`
    . "$CLUSTER_ENV"
    set +a
    [[ -z $given || $given == "$KUBECONFIG" ]] ||
      say "KUBECONFIG is ignored, this is the test cluster's; to use yours: CONTEXT=$(KUBECONFIG=$given command kubectl config current-context 2>/dev/null || echo name)"
    "$ROOT/tests/cluster/tools.sh" helm
  else
    command -v kubectl >/dev/null || die "CONTEXT=$CONTEXT needs kubectl"
    command kubectl config get-contexts "$CONTEXT" >/dev/null 2>&1 ||
      die "your kubeconfig has no context '$CONTEXT'; it has: $(command kubectl config get-contexts -o name | paste -sd' ')"
  fi
}

kubectl() { command "${KUBECTL:-kubectl}" ${CONTEXT:+--context "$CONTEXT"} "$@"; }
# make_namespace: the installation's, labelled as it needs.
make_namespace() { sed "s/dlf-system/$NAMESPACE/" "$ROOT/deploy/namespace.yaml" | kubectl apply -f - >/dev/null; }
helm() { command "${HELM:-helm}" ${CONTEXT:+--kube-context "$CONTEXT"} "$@"; }
