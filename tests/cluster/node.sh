#!/usr/bin/env bash
# A whole node, for fault tests.
#   node.sh NODE stop      as if its power had failed: containers, kubelet, network gone; disk kept
#   node.sh NODE start     boots it again
#   node.sh NODE restart
#   node.sh NODE restart-kubelet|restart-containerd|restart-proxy
set -euo pipefail
cd "$(dirname "$0")"
. lib/common.sh
. lib/process.sh
. lib/network.sh
. lib/clear.sh
. lib/images.sh
. lib/control-plane.sh
. lib/node.sh

node=${1:-} action=${2:-}
[[ " ${NODES[*]} " == *" $node "* ]] || die "usage: node.sh ${NODES[*]// /|} stop|start|restart|restart-kubelet|..."
need_root
use_tools
boot() {
  prepare_images
  boot_node "$node"
  join_node "$node"
  wait_for 120 "node $node" node_ready "$node"
}
case $action in
  stop) clear_node "$node" ;;
  start) boot ;;
  restart)
    clear_node "$node"
    boot
    ;;
  restart-kubelet | restart-containerd | restart-proxy) ./part.sh "$node-${action#restart-}" restart ;;
  *) die "node.sh: no action called '$action'" ;;
esac
say "$node: $action done"
