#!/usr/bin/env bash
# Describes the user's cluster CONTEXT to the tests, as `make cluster` does the test cluster: prints the
# name of a file of NAME=VALUE lines. Needs an S3 that this machine and the cluster's pods reach:
# S3_ENDPOINT, S3_KEY, S3_SECRET. TEST_IMAGE is an image with a shell that its nodes can pull. Tests that
# need more are skipped unless it is given: keys that may only read (S3_READER_KEY, S3_READER_SECRET), a
# bucket that everybody may read (S3_PUBLIC_BUCKET), the same S3 with TLS (S3_TLS_ENDPOINT, and S3_CA_FILE
# with the authority behind it), an NFS server (NFS_SERVER).
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../deploy/scripts/lib.sh"

[[ -n ${CONTEXT:-} ]] || die "CONTEXT names no context of your kubeconfig"
use_cluster
[[ -n ${S3_ENDPOINT:-} && -n ${S3_KEY:-} && -n ${S3_SECRET:-} ]] ||
  die "with CONTEXT the tests need an S3: set S3_ENDPOINT, S3_KEY and S3_SECRET"
umask 077 # keys
dir=$ROOT/target/context
mkdir -p "$dir"
# One context only: no test can reach another cluster.
kubectl config view --minify --flatten --raw >"$dir/kubeconfig"
printf '%s=%s\n' \
  KUBECONFIG "$dir/kubeconfig" \
  KUBECTL "$(type -P kubectl)" \
  TEST_IMAGE "${TEST_IMAGE:-docker.io/library/debian:bookworm-slim}" \
  S3_ENDPOINT "$S3_ENDPOINT" \
  S3_KEY "$S3_KEY" \
  S3_SECRET "$S3_SECRET" >"$dir/cluster.env"
for name in S3_READER_KEY S3_READER_SECRET S3_PUBLIC_BUCKET S3_TLS_ENDPOINT S3_CA_FILE NFS_SERVER; do
  [[ -z ${!name:-} ]] || printf '%s=%s\n' "$name" "${!name}" >>"$dir/cluster.env"
done
printf '%s\n' "$dir/cluster.env"
