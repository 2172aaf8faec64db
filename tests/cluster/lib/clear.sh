# shellcheck shell=bash
# Removes whatever a cluster left, after a clean end or not: everything is found by our names.

clear_cluster() {
  local node
  [[ -d $RUN ]] && rm -f "$RUN/complete"
  for node in "${NODES[@]}"; do # kubelets first, or they start containers again
    stop "$node-kubelet" KILL
  done
  for node in "${NODES[@]}"; do
    clear_node "$node"
  done
  kill_cgroup dlf-cluster
  unmount_below "$RUN"
  network_down
  remove_cgroup dlf-cluster
  remove_s3_sockets
  rmdir /var/lib/kubelet "$SCRATCH" 2>/dev/null || true # mount points of the nodes' own mounts, if nothing else is there
  rm -rf --one-file-system "$RUN"
}

# clear_node NODE: as if its power had failed; its disk (below RUN/NODE) stays.
clear_node() {
  local node=$1 part
  for part in kubelet containerd proxy; do
    stop "$node-$part" KILL
  done
  kill_cgroup "$node"
  kill_shims "$node"
  unmount_below "$RUN/$node" # also the file that keeps the node's own mounts
  rm -rf "${RUN:?}/$node/containerd"/{state,runc} # what a real node loses with its power
  remove_cgroup "$node"
  node_network_down "$node"
}

# containerd's shims live in our cgroup with everything else, and in their command line name the
# node's containerd. Their sockets lie in a directory that all containerds share.
kill_shims() {
  local pid argv address
  while read -r pid; do
    mapfile -d '' -t argv <"/proc/$pid/cmdline" || continue
    [[ " ${argv[*]} " != *" -address $RUN/$1/containerd/c.sock "* ]] || kill -KILL "$pid" 2>/dev/null || true
  done < <(cat "$(tracking_cgroup dlf-cluster)/cgroup.procs" 2>/dev/null)
  for address in "$RUN/$1"/containerd/state/io.containerd.runtime.v2.task/k8s.io/*/address; do
    [[ ! -e $address ]] || rm -f "$(sed 's|^unix://||' "$address")"
  done
}

# SeaweedFS keeps sockets for its gRPC ports in /tmp; our ports are no default ones.
remove_s3_sockets() {
  local port
  for port in "${S3_MAIN_PORTS[@]}" "${S3_SECOND_PORTS[@]}"; do
    rm -f "/tmp/seaweedfs-"*"-grpc-1$port.sock"
  done
}

# unmount_below DIR: DIR too; all layers, deepest first. Who used them is dead by now.
unmount_below() {
  local target
  mounts_below "$1" | while read -r target; do
    umount "$target" 2>/dev/null || umount -l "$target" 2>/dev/null || true
  done
  [[ -z $(mounts_below "$1") ]] || die "could not unmount everything below $1"
}

mounts_below() {
  awk -v dir="$1" '$5 == dir || index($5, dir "/") == 1 { print $5 }' /proc/self/mountinfo | tac |
    while read -r target; do printf '%b\n' "$target"; done # \040 is a space
}
