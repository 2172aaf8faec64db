#!/usr/bin/env bash
# Installs DLF with the plugins that the tests need: the examples in Rust and Python, some of them twice, one that plans storage,
# two that do what they should not, and one that is a controller of its own. Idempotent; `install.sh` takes them away.
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../../deploy/scripts/lib.sh"
use_cluster

say "building the plugins and what their caches run in"
"$ROOT/tests/cluster/cache-images.sh" >/dev/null
(cd "$ROOT" && cargo build --locked --example hostile --example elsewhere --bin kubectl-dlf >&2)
cargo build --locked --manifest-path "$ROOT/examples/plugin-minimal/Cargo.toml" >&2
cargo build --locked --manifest-path "$ROOT/examples/plugin-shelf/Cargo.toml" >&2
context=$ROOT/target/images/test-plugins
mkdir -p "$context"
strip -o "$context/libnginx_cache.so" "$CARGO_TARGET_DIR/debug/libnginx_cache.so"
strip -o "$context/libshelf_cache.so" "$CARGO_TARGET_DIR/debug/libshelf_cache.so"
strip -o "$context/libelsewhere.so" "$CARGO_TARGET_DIR/debug/examples/libelsewhere.so"
strip -o "$context/libhostile.so" "$CARGO_TARGET_DIR/debug/examples/libhostile.so"
printf 'FROM docker.io/library/debian:bookworm-slim\nCOPY *.so /\n' >"$context/Containerfile"
tag=$(cat "$context"/* | sha256sum | cut -c1-12)
image=docker.io/library/dlf-test-plugins:$tag
"$ROOT/tests/cluster/build-image.sh" "$context/Containerfile" "$image" "$context" >/dev/null

make_namespace
kubectl create configmap varnish-plugin --namespace "$NAMESPACE" --dry-run=client --output yaml \
  --from-file "$ROOT/examples/plugin-python/plugin.py" | kubectl apply -f - >/dev/null
kubectl create configmap shelf-plugin --namespace "$NAMESPACE" --dry-run=client --output yaml \
  --from-file "$ROOT/examples/plugin-shelf/shelf.py" | kubectl apply -f - >/dev/null
cat "$ROOT/tests/cluster/dlf.toml" - >"$context/dlf.toml" <<END

[[route]]
match = { labels = { planned = "elsewhere" } }
storage = "elsewhere"

[plugins.third]
carrier = "external"
service_account = "system:serviceaccount:$NAMESPACE:third"
END
cat >"$context/values.yaml" <<END
networkPolicy: { nodes: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16] }
plugins:
  nginx:
    library: { image: "$image", path: /libnginx_cache.so }
    config: { image: "docker.io/library/dlf-test-nginx:1" }
  kept:
    library: { image: "$image", path: /libnginx_cache.so }
    config: { image: "docker.io/library/dlf-test-nginx:1", storageClass: dlf-test-caches }
  varnish:
    script:
      configMap: varnish-plugin
      key: plugin.py
      image: docker.io/library/dlf-test-python:1
      interpreter: [python3]
    config: { image: "docker.io/library/dlf-test-varnish:1" }
  shelf:
    script:
      configMap: shelf-plugin
      key: shelf.py
      image: docker.io/library/dlf-test-python:1
      interpreter: [python3]
    config: { image: "docker.io/library/dlf-test-python:1" }
    grants: [source-keys]
  shelf-rust:
    library: { image: "$image", path: /libshelf_cache.so }
    config: { image: "docker.io/library/dlf-test-python:1" }
    grants: [source-keys]
  needy:
    library: { image: "$image", path: /libshelf_cache.so }
  elsewhere:
    library: { image: "$image", path: /libelsewhere.so }
  silent:
    library: { image: "$image", path: /libhostile.so }
    config: { do: silent }
  hostile:
    # A program, so that what it does to itself is seen apart from what happens to its pod.
    program:
      image: "$image"
      command: [/host/dlf-plugin-host, --library, /libhostile.so]
END
"$ROOT/deploy/scripts/install.sh" --values "$context/values.yaml" --set-file "config=$context/dlf.toml" --wait --timeout 3m
