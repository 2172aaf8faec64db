#!/usr/bin/env bash
# Installs the Debian packages the test cluster needs: the missing ones only, starting no service.
#   packages.sh [PACKAGE...]   more packages, for a script that needs them
set -euo pipefail
cd "$(dirname "$0")"
. lib/common.sh

PACKAGES=(
  etcd-server containerd runc containernetworking-plugins nftables iproute2 procps # the cluster
  buildah mmdebstrap gcc libc6-dev                                                 # images
  openssl curl ca-certificates python3-venv                                        # S3
  nfs-ganesha nfs-ganesha-vfs libnfs-utils                                         # NFS
  gettext-base                                                                     # examples: envsubst
)
POLICY=/usr/sbin/policy-rc.d
MARK='# dlf test cluster: start no service while packages are installed'

missing() {
  local package
  for package; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      printf '%s\n' "$package"
  done
}

# Debian's containerd and etcd start at installation; the cluster runs its own.
forbid_services() {
  if [[ -e $POLICY ]] && ! grep -qF "$MARK" "$POLICY"; then return; fi
  trap 'rm -f "$POLICY"' EXIT
  printf '#!/bin/sh\n%s\nexit 101\n' "$MARK" >"$POLICY"
  chmod +x "$POLICY"
}

install_packages() {
  apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" >"$LOG" 2>&1
}

mapfile -t wanted < <(missing "${PACKAGES[@]}" "$@")
[[ ${#wanted[@]} -gt 0 ]] || exit 0
need_root
command -v apt-get >/dev/null || die "no apt-get here; install these yourself: ${wanted[*]}"
exclusively packages
say "installing ${#wanted[@]} packages (about 1 minute): ${wanted[*]}"
export DEBIAN_FRONTEND=noninteractive
LOG=$(mktemp)
forbid_services
install_packages "${wanted[@]}" || {
  apt-get -o DPkg::Lock::Timeout=300 update >>"$LOG" 2>&1 || true # a stale list; one broken source is no reason to stop
  install_packages "${wanted[@]}"
} || { cat "$LOG" >&2; die "apt-get could not install ${wanted[*]}"; }
rm -f "$LOG"
say "packages installed"
