#!/usr/bin/env bash
# Builds the Go programs of the test cluster into the cache, once per go.sum.
#   tools.sh [GROUP...]   groups: kubernetes coredns csi-sanity helm kwok
# Without arguments it builds all but kwok, which only the scale tests need.
# The Go build cache of these programs is not needed afterwards (`go clean -cache` frees it).
set -euo pipefail
cd "$(dirname "$0")"
. lib/common.sh

CONTROL_PLANE=(kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl kubeadm)

# Without these the programs call themselves v0.0.0 and clients complain.
flags_of() {
  [[ $1 == kubernetes ]] || return 0
  local v='k8s.io/component-base/version' minor=${KUBERNETES_VERSION#v1.}
  printf -- '-X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s' \
    "$v" "$KUBERNETES_VERSION" "$v" "$v" "${minor%%.*}"
}

# given_by_user GROUP: KUBEBUILDER_ASSETS may name a directory with every program of the group.
given_by_user() {
  [[ $1 == kubernetes && -n ${KUBEBUILDER_ASSETS:-} ]] || return 1
  local program
  for program in "${CONTROL_PLANE[@]}"; do
    [[ -x $KUBEBUILDER_ASSETS/$program ]] || return 1
  done
}

built() { [[ -d $(tool_dir "$1") ]] || given_by_user "$1"; }

build() {
  local group=$1 dir partial began=$SECONDS
  dir=$(tool_dir "$group")
  partial=$dir.partial
  command -v go >/dev/null || die "no go on this machine, and $group must be built with it"
  say "building $group (once per machine; kubernetes takes 6 minutes on 2 idle cores, the others 1 to 3)"
  rm -rf "$partial"
  (
    cd "tools/$group"
    CGO_ENABLED=0 GOBIN=$partial GOFLAGS="${GOFLAGS:-} -mod=readonly" \
      nice go install -trimpath -ldflags "-s -w $(flags_of "$group")" tool
  )
  mv "$partial" "$dir"
  say "built $group in $((SECONDS - began)) s"
}

[[ $# -gt 0 ]] || set -- kubernetes csi-sanity helm coredns
for group; do
  [[ -f tools/$group/go.sum ]] || die "no group of tools called $group"
  built "$group" || {
    exclusively tools # two runs at once build once
    built "$group" || build "$group"
  }
done
