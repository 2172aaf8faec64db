#!/usr/bin/env bash
# Stops the test cluster and removes everything it made outside the cache: processes, mounts,
# namespaces, links, routes, cgroups, kube-proxy's tables and the run directory with all its data.
set -euo pipefail
cd "$(dirname "$0")"
. lib/common.sh
. lib/process.sh
. lib/network.sh
. lib/clear.sh

need_root
exclusively cluster
clear_cluster
rm -f "$REPO/target/cluster/cluster.env"
say "cluster gone"
