# shellcheck shell=bash
# What install, images and the demo share: progress, and which cluster they work on. Sourced.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CLUSTER_ENV=$ROOT/target/cluster/cluster.env
# shellcheck disable=SC2034 # used by those who source this
NAMESPACE=${DLF_NAMESPACE:-dlf-system}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/dlf/target}
# A test that installs has cargo's variables of its own package, for which ring would be built anew.
unset "${!CARGO_PKG_@}" "${!CARGO_MANIFEST_@}"
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

# files_of CHECKOUT: time, hash and path of each file in it.
files_of() {
  local paths
  (
    cd "$1" 2>/dev/null || exit 0
    mapfile -t paths < <(git ls-files --cached --others --exclude-standard | while read -r path; do [[ ! -f $path ]] || printf '%s\n' "$path"; done)
    paste -d ' ' <(printf '%s\n' "${paths[@]}" | xargs -d '\n' stat -c %.9Y) \
      <(printf '%s\n' "${paths[@]}" | git hash-object --no-filters --stdin-paths) <(printf '%s\n' "${paths[@]}")
  )
}

# own_target_directory: checkouts share one target directory, and cargo compares the times of files, not their
# content. A checkout that follows another gives each file that is the same the time of the other's file, and each
# file that differs the present time, so that cargo builds what differs. For a checkout that no longer exists, the
# times recorded when its scripts last ran are used.
own_target_directory() {
  local files=$CARGO_TARGET_DIR/files owner time hash path
  declare -A known=()
  owner=$(head -n 1 "$files" 2>/dev/null) || true # none yet
  if [[ $owner == "$ROOT" && -z $(find "$ROOT" -name .git -prune -o -path "$ROOT/target" -prune -o -type f -newer "$files" -print -quit) ]]; then
    return
  fi
  mkdir -p "$CARGO_TARGET_DIR"
  if [[ $owner != "$ROOT" ]]; then
    while read -r time hash path; do
      known["$hash $path"]=$time
    done < <(if [[ -n $owner && -d $owner ]]; then files_of "$owner"; elif [[ -e $files ]]; then tail -n +2 "$files"; fi)
    while read -r _ hash path; do
      touch --no-create --date "@${known[$hash $path]:-$EPOCHREALTIME}" "$ROOT/$path"
    done < <(files_of "$ROOT")
  fi
  { printf '%s\n' "$ROOT" && files_of "$ROOT"; } >"$files.new"
  mv "$files.new" "$files"
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
