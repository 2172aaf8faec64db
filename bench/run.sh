#!/usr/bin/env bash
# Figures of the working tree on the test cluster, side by side with what a user would pick instead.
#   run.sh [SECTION...]    sections: mount, plugins, and those of `cargo run --bin dlf-bench -- --help`; all without arguments
# With SCALE=number section scale has that many Datasets and pods instead of 20,000.
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../deploy/scripts/lib.sh"
cd "$ROOT"

on_test_cluster || die "figures are of processes on this machine: they are taken on the test cluster only (without CONTEXT)"
[[ $# -gt 0 ]] || set -- webhook pods datasets waiting startup scale mount plugins
mount=no plugins=no sections=()
for section; do
  case $section in
    mount) mount=yes ;;
    plugins) plugins=yes ;;
    *) sections+=("$section") ;;
  esac
done

if [[ $plugins == yes ]]; then
  cargo build --locked -q --bin dlf-plugin-host --example carriers --example hostile --example proxy
  printf '\n'
  cargo run --locked -q --example carriers
fi
[[ $mount == yes || ${#sections[@]} -gt 0 ]] || exit 0
tests/cluster/up.sh
export DLF_TEST_ENV=$CLUSTER_ENV
if ((${#sections[@]} > 0)); then
  deploy/scripts/install.sh
  if [[ " ${sections[*]} " == *' scale '* ]]; then
    trap 'tests/cluster/kwok.sh stop' EXIT
    tests/cluster/kwok.sh start
  fi
  cargo run --locked -q --bin dlf-bench -- ${SCALE:+--scale "$SCALE"} "${sections[@]}"
fi
if [[ $mount == yes ]]; then
  tests/cluster/packages.sh s3fs
  cargo build --locked -q --bin dlf-mounter --example bench
  printf '\nreads and writes through a mount, program native\n'
  cargo run --locked -q --example bench native
  # libfuse looks for the system's fusermount first, which would mount by itself: for this one run, and
  # for nobody else, that is the mounter's, as in its image.
  printf '\nreads and writes through a mount, program s3fs\n'
  # shellcheck disable=SC2016 # the inner shell expands them
  unshare --mount sh -c 'mount --bind "$1" "$2" && exec "$3" s3fs' - "$CARGO_TARGET_DIR/debug/dlf-mounter" \
    "$(readlink -f "$(command -v fusermount)")" "$CARGO_TARGET_DIR/debug/examples/bench"
fi
