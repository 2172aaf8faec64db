# shellcheck shell=bash disable=SC2034
# What every script here shares: names, addresses, where things are kept, progress, locks.
# Sourced, never run. Everything the cluster makes carries one of the names below, so that a
# later run, perhaps from another checkout, can find and clear what an unclean end left.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
REPO=$(cd "$HERE/../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/dlf

RUN=/var/tmp/dlf-cluster # all state of the running cluster, one per machine
NODES=(dlf-n1 dlf-n2)    # also network namespaces, cgroups and directories of RUN
BRIDGE=dlf0
HOST_IP=10.85.255.1    # the API server
SERVERS_IP=10.85.255.2 # S3 and NFS: pods are refused the API server's address
DNS_IP=10.85.255.3
SECOND_S3_IP=10.85.255.4
S3_MAIN_PORTS=(8333 8334 9341 9342 9343 9344)   # S3, S3 over TLS; gRPC of S3; master, volume, filer
S3_SECOND_PORTS=(8335 8336 9351 9352 9353 9354) # others, because its sockets are named by port
POD_CIDR=10.85.0.0/16
SERVICE_CIDR=10.96.0.0/16
DNS_SERVICE_IP=10.96.0.10
KUBERNETES_VERSION=v1.35.4
PAUSE_IMAGE=localhost/dlf-pause:1
BASE_IMAGE=docker.io/library/debian:bookworm-slim
SCRATCH=/var/tmp/dlf-scratch # host paths that dlf.toml allows; on each node a disk of its own
TEST_IMAGE=docker.io/library/dlf-test:1
KUBECONFIG=$RUN/admin.conf
export KUBECONFIG

# The scripts' own file descriptors and umask must not depend on the caller's.
umask 022
shopt -s inherit_errexit # `set -e` holds in $(...) too
START=$(date +%s%N)

# say TEXT: one line of progress with the seconds since the script began.
say() {
  local ms=$((($(date +%s%N) - START) / 1000000))
  printf '%4d.%ds  %s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$*" >&2
}

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# wait_for SECONDS WHAT COMMAND...: polls until COMMAND succeeds; fails loudly after SECONDS.
wait_for() {
  local seconds=$1 what=$2 end
  shift 2
  end=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= end)); then
      printf 'error: waited %s s for %s\n' "$seconds" "$what" >&2
      return 1
    fi
    sleep 0.1 # the interval of this bounded poll
  done
}

# exclusively NAME: holds the lock NAME until this script ends, so that two `make cluster` at once,
# even from two checkouts, run one after the other. A script that the holder calls holds it too.
# The lock lies beside RUN, because `down` removes RUN.
exclusively() {
  local fd
  [[ ${DLF_LOCKS:-} != *:$1:* ]] || return 0
  exec {fd}>"$RUN.$1.lock"
  if ! flock -n "$fd"; then
    say "waiting for another run that holds $RUN.$1.lock"
    flock -w 3600 "$fd" || die "$RUN.$1.lock was held for an hour"
  fi
  export DLF_LOCKS=${DLF_LOCKS:-}:$1:
}

need_root() {
  [[ $(id -u) == 0 ]] || die "the test cluster makes network namespaces and mounts: run it as root"
}

# hash_of FILE...: a short name for this content, used as a key of the cache.
hash_of() {
  cat -- "$@" | sha256sum | cut -c1-16
}

# The directory of one group of Go tools; a change of what it is made of names a new one.
tool_dir() {
  printf '%s/tools/%s-%s' "$CACHE" "$1" "$(hash_of "$HERE/tools/$1"/*)"
}

# Ready binaries of the control plane come first, then ours.
use_tools() {
  local group
  for group in kubernetes coredns csi-sanity helm kwok; do
    PATH=$(tool_dir "$group"):$PATH
  done
  PATH=${KUBEBUILDER_ASSETS:+$KUBEBUILDER_ASSETS:}$PATH
  export PATH
}
