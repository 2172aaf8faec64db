#!/usr/bin/env bash
# Figures of the working tree on the test cluster, side by side with what a user would pick instead.
#   run.sh [SECTION...]    sections: mount, and those of `cargo run -p dlf-bench -- --help`; all without arguments
# With SCALE=number section scale has that many Datasets and pods instead of 20,000.
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../deploy/scripts/lib.sh"
cd "$ROOT"

on_test_cluster || die "figures are of processes on this machine: they are taken on the test cluster only (without CONTEXT)"
[[ $# -gt 0 ]] || set -- webhook pods datasets waiting startup scale mount
mount=no sections=()
for section; do
  if [[ $section == mount ]]; then mount=yes; else sections+=("$section"); fi
done

tests/cluster/up.sh
if ((${#sections[@]} > 0)); then
  deploy/scripts/install.sh
  if [[ " ${sections[*]} " == *' scale '* ]]; then
    trap 'tests/cluster/kwok.sh stop' EXIT
    tests/cluster/kwok.sh start
  fi
  cargo run --locked -q -p dlf-bench -- ${SCALE:+--scale "$SCALE"} "${sections[@]}"
fi
if [[ $mount == yes ]]; then
  tests/cluster/packages.sh s3fs
  cargo build --locked -q -p dlf-mount --bins --example bench
  for program in native s3fs; do
    printf '\nreads and writes through a mount, program %s\n' "$program"
    cargo run --locked -q -p dlf-mount --example bench "$program"
  done
fi
