#!/usr/bin/env bash
# The S3 servers of the test cluster.
#   s3.sh main|second start|stop|kill|restart|status
# `start` returns when the server stores objects; data stay until the cluster goes down.
set -euo pipefail
cd "$(dirname "$0")"
. lib/common.sh
. lib/process.sh
. lib/s3.sh

name=${1:-} action=${2:-}
[[ $name == main || $name == second ]] || die "usage: s3.sh main|second start|stop|kill|restart|status"
[[ -d $RUN ]] || die "no cluster is running: its network is where S3 listens"
start_and_wait() {
  prepare_s3
  running "s3-$name" || start_s3 "$name"
  wait_for_s3 "$name"
  say "S3 server $name stores at $(s3_url "$name") and $(s3_tls_url "$name")"
}
case $action in
  start) start_and_wait ;;
  stop) stop "s3-$name" ;;
  kill) stop "s3-$name" KILL ;;
  restart)
    stop "s3-$name"
    start_and_wait
    ;;
  status) if running "s3-$name"; then say "S3 server $name runs"; else die "S3 server $name does not run"; fi ;;
  *) die "s3.sh: no action called '$action'" ;;
esac
