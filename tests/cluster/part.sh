#!/usr/bin/env bash
# One program of the cluster, for fault tests: stop it, start it as it was started before.
#   part.sh                              lists the parts
#   part.sh PART start|stop|kill|restart|pause|continue|status
# Parts: etcd apiserver controller-manager scheduler coredns host-proxy NODE-containerd
# NODE-kubelet NODE-proxy s3-main s3-second nfs
set -euo pipefail
cd "$(dirname "$0")"
. lib/common.sh
. lib/process.sh
use_tools

part=${1:-} action=${2:-status}
if [[ -z $part ]]; then
  for part in $(parts); do
    if running "$part"; then printf 'running  %s\n' "$part"; else printf 'stopped  %s\n' "$part"; fi
  done
  exit
fi
[[ -e $PARTS/$part.command ]] || die "no part called '$part'; there are: $(parts)"
signal() {
  local pid
  running "$part" || die "$part does not run"
  read -r pid _ <"$PARTS/$part.pid"
  kill "-$1" "$pid"
}
case $action in
  start) running "$part" || start_again "$part" ;;
  stop) stop "$part" ;;
  kill) stop "$part" KILL ;;
  restart)
    stop "$part" KILL # the API server takes up to a minute to end by itself
    start_again "$part"
    ;;
  pause) signal STOP ;;
  continue) signal CONT ;;
  status) if running "$part"; then say "$part runs"; else die "$part does not run"; fi ;;
  *) die "part.sh: no action called '$action'" ;;
esac
