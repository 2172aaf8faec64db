#!/usr/bin/env bash
# The NFS server of the test cluster.
#   nfs.sh start|stop|kill|restart|status
set -euo pipefail
cd "$(dirname "$0")"
. lib/common.sh
. lib/process.sh
. lib/nfs.sh

[[ -d $RUN ]] || die "no cluster is running: its network is where NFS listens"
start_and_wait() {
  running nfs || start_nfs
  wait_for_nfs
  say "NFS server exports $SERVERS_IP:$NFS_EXPORT (on this host: $NFS_DIR/export)"
}
case ${1:-} in
  start) start_and_wait ;;
  stop) stop nfs ;;
  kill) stop nfs KILL ;;
  restart)
    stop nfs
    start_and_wait
    ;;
  status) if running nfs; then say "the NFS server runs"; else die "the NFS server does not run"; fi ;;
  *) die "usage: nfs.sh start|stop|kill|restart|status" ;;
esac
