#!/usr/bin/env bash
# Starts the test cluster; on a healthy one it changes nothing, a half-dead one is cleared first.
#   up.sh [--fresh]   --fresh clears a healthy one too
set -euo pipefail
cd "$(dirname "$0")"
. lib/common.sh
. lib/process.sh
. lib/network.sh
. lib/clear.sh
. lib/images.sh
. lib/control-plane.sh
. lib/node.sh
. lib/s3.sh
. lib/nfs.sh
. lib/env.sh

# What a running cluster must have been made of for this checkout to take it as it is.
made_of() { printf '%s\n' "$(tool_dir kubernetes)" "$(tool_dir coredns)" "$(s3_home)" "$(hash_of lib/node.sh lib/control-plane.sh)"; }

healthy() {
  local part node
  [[ $(cat "$RUN/complete" 2>/dev/null) == "$(made_of)" ]] || return 1
  for part in etcd apiserver controller-manager scheduler coredns host-proxy; do
    running "$part" || return 1
  done
  for node in "${NODES[@]}"; do
    for part in containerd kubelet proxy; do
      running "$node-$part" || return 1
    done
  done
  wait_for 30 "the running cluster to answer" apiserver_ready || return 1
  for node in "${NODES[@]}"; do
    wait_for 60 "node $node to be Ready again" node_ready "$node" || return 1
  done
}

start_servers() {
  running s3-main || start_s3 main
  running nfs || start_nfs
}

start_cluster() {
  local node boots=()
  network_up
  start_servers # these and the nodes' images take some seconds, while the API server starts
  for node in "${NODES[@]}"; do
    boot_node "$node" &
    boots+=($!)
  done
  start_control_plane
  for node in "${boots[@]}"; do
    wait "$node"
  done
  say "containers can run on ${NODES[*]}"
  for node in "${NODES[@]}"; do
    join_node "$node"
  done
  for node in "${NODES[@]}"; do
    wait_for 120 "node $node (see $LOGS/$node-kubelet.log)" node_ready "$node"
    say "$node is Ready"
  done
}

need_root
exclusively cluster
./prepare.sh
use_tools
prepare_images
if [[ ${1:-} != --fresh ]] && healthy; then
  start_servers
  say "the cluster runs already"
else
  [[ ! -d $RUN ]] || say "clearing what an earlier cluster left"
  clear_cluster
  say "starting the cluster (about 30 seconds)"
  start_cluster
  made_of >"$RUN/complete"
fi
wait_for_s3 main
wait_for_nfs
write_env
say "cluster ready: . $REPO/target/cluster/cluster.env"
