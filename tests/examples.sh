#!/usr/bin/env bash
# Builds the examples of plugins as a third party would: workspaces of their own, outside ours.
#   examples.sh minimal|shelf|template
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../deploy/scripts/lib.sh"

case $1 in
  minimal | shelf) cargo test --locked --manifest-path "$ROOT/examples/plugin-$1/Cargo.toml" ;;
  template)
    # What `cargo generate` makes of it.
    made=$(mktemp -d)
    trap 'rm -rf "$made"' EXIT
    cp -r "$ROOT/examples/plugin-template/." "$made"
    find "$made" -type f -exec sed -i \
      "s|{{project-name}}|made-from-template|g; s|{{crate_name}}|made_from_template|g; s|{{dlf}}|$ROOT|g" {} +
    cp "$ROOT/examples/plugin-minimal/Cargo.lock" "$made/Cargo.lock" # the same dependencies, so nothing is resolved anew
    cargo test --manifest-path "$made/Cargo.toml"
    ;;
  *) die "no example called $1" ;;
esac
