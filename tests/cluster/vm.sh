#!/usr/bin/env bash
# Runs a program as root in a small virtual machine whose kernel has what the host's may lack: an NFS
# client, and version 2 of control groups (the memory controller, at /sys/fs/cgroup). Prints its output,
# exits with its exit code. No KVM, so about 15 s.
#   vm.sh [--with FILE]... PROGRAM [ARGUMENT...]
# PROGRAM is static or dynamic; --with takes further files or programs, at their path. Their libraries
# are taken along. In the machine: busybox in /bin, an empty /mnt, and the cluster's servers at the
# addresses they have on the host ($NFS_SERVER of cluster.env).
#   vm.sh --prepare       makes what is the same for all programs, once per machine
#   vm.sh --is-prepared   ends with 0 if that is there
# Exits with 77 where there can be no such machine; the last line of stderr says why.
set -euo pipefail
with=() action=run
while [[ ${1:-} == --with ]]; do
  with+=("$(realpath -s "$2")")
  shift 2
done
case ${1:-} in
  --prepare | --is-prepared) action=${1#--} ;;
  "") echo "usage: vm.sh [--with FILE]... PROGRAM [ARGUMENT...]" >&2; exit 2 ;;
  *)
    program=$(realpath "$(command -v "$1")")
    shift
    ;;
esac
cd "$(dirname "$0")"
. lib/common.sh

CANNOT=77
MODULES=(virtio_pci virtio_net virtio_blk ext4 nfsv4 nfsv3 fuse overlay)
MEMORY=1024 # MiB
DISK=2G      # sparse
LIMIT=600 # seconds for the whole run

cannot() {
  printf 'no virtual machine here: %s\n' "$*" >&2
  exit "$CANNOT"
}

refresh_lists() { apt-get -o DPkg::Lock::Timeout=300 update >/dev/null 2>&1 || true; }

kernel_package() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }'; }

download() { apt-get download "$1" >/dev/null 2>&1; }

# unpack_package PACKAGE DIR: without installing it; a kernel's installation would touch /boot.
unpack_package() {
  mkdir -p "$2"
  (cd "$2" && { download "$1" || { refresh_lists; download "$1"; }; } && dpkg -x ./*.deb . && rm -f ./*.deb) ||
    cannot "could not get the package $1"
}

# The part of the initial file system that is the same for all programs: busybox, modules, init.
make_base() {
  local partial=$VM.partial module
  say "preparing the virtual machine (once per machine; about 30 seconds)"
  rm -rf "$partial"
  unpack_package "$KERNEL" "$partial/kernel"
  unpack_package busybox-static "$partial/busybox"
  depmod -b "$partial/kernel" "$RELEASE"
  mkdir -p "$partial"/root/{bin,modules,proc,sys,dev}
  cp "$partial/busybox/bin/busybox" "$partial/root/bin/"
  install -m 0755 vm/init "$partial/root/init"
  for module in "${MODULES[@]}"; do
    modprobe -d "$partial/kernel" -S "$RELEASE" --show-depends "$module"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$partial/modules"
  while read -r module; do
    cp "$module" "$partial/root/modules/"
    printf '%s\n' "${module##*/}"
  done <"$partial/modules" >"$partial/root/modules/order"
  pack "$partial/root" "$partial/base.cpio.gz"
  cp "$partial/kernel/boot/vmlinuz-$RELEASE" "$partial/vmlinuz"
  rm -rf "$partial"/{kernel,busybox,root,modules}
  mv "$partial" "$VM"
}

pack() { (cd "$1" && find . | cpio --quiet -o -H newc | gzip -1) >"$2"; }

quoted() { printf "'%s' " "${1//\'/\'\\\'\'}"; }

libraries_of() { ldd "$1" 2>/dev/null | grep -o '/[^ ]*' || true; }

# The part that is this program.
program_tree() { # DIR ARGUMENT...
  local dir=$1 file argument
  shift
  while read -r file; do
    [[ -n $file ]] || continue
    mkdir -p "$dir$(dirname "$file")"
    cp -L "$file" "$dir$file"
    strip --strip-debug "$dir$file" 2>/dev/null || true # what is no program stays as it is
  done < <(for file in "$program" "${with[@]}"; do libraries_of "$file"; done | sort -u; printf '%s\n' "${with[@]}")
  install -m 0755 "$program" "$dir/program"
  strip --strip-debug "$dir/program" 2>/dev/null || true
  {
    printf '#!/bin/busybox sh\nexec /program '
    for argument; do quoted "$argument"; done
    printf '\n'
  } >"$dir/run-program"
  chmod +x "$dir/run-program"
}

boot() { # INITRD DISK
  timeout "$LIMIT" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m "$MEMORY" -smp 2 -nographic -no-reboot -nodefaults \
    -serial stdio -kernel "$VM/vmlinuz" -initrd "$1" -append 'console=ttyS0 quiet panic=-1' \
    -drive "file=$2,format=raw,if=virtio" -netdev user,id=n -device virtio-net-pci,netdev=n,romfile= </dev/null 2>&1 | tr -d '\r'
}

[[ $(uname -m) == x86_64 ]] || cannot "it is made for x86_64, and this is $(uname -m)"
[[ $action == is-prepared ]] || ./packages.sh qemu-system-x86 kmod cpio e2fsprogs binutils || cannot "its packages could not be installed"
KERNEL=$(kernel_package)
[[ -n $KERNEL || $action == is-prepared ]] || { refresh_lists; KERNEL=$(kernel_package); }
[[ -n $KERNEL ]] || cannot "no package of a kernel is known here"
RELEASE=${KERNEL#linux-image-}
VM=$CACHE/vm/$RELEASE-$(hash_of vm/init vm.sh)
if [[ $action == is-prepared ]]; then
  [[ -d $VM ]]
  exit
fi
if [[ ! -d $VM ]]; then
  exclusively vm
  [[ -d $VM ]] || make_base
fi
[[ $action == run ]] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
program_tree "$work/tree" "$@"
pack "$work/tree" "$work/program.cpio.gz"
cat "$VM/base.cpio.gz" "$work/program.cpio.gz" >"$work/initrd.gz"
truncate -s "$DISK" "$work/disk"
/sbin/mkfs.ext4 -q -F "$work/disk"
boot "$work/initrd.gz" "$work/disk" | tee "$work/serial" | sed -u '1,/^dlf-vm-begin/d; /^dlf-vm-exit /,$d' || true
code=$(sed -n 's/^dlf-vm-exit //p' "$work/serial" | tail -n 1)
[[ -n $code ]] || die "$(cat "$work/serial") — the virtual machine ended without the program's exit code"
say "the program ended with $code"
exit "$code"
