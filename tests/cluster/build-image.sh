#!/usr/bin/env bash
# Builds an image and loads it into every node of the running cluster (without one it only builds).
#   build-image.sh CONTAINERFILE TAG CONTEXT_DIR [BUILDAH_OPTION...]     e.g. --build-arg A=B
# Nothing happens when Containerfile, context, options and base are what they were: give it a small
# context directory, not the whole checkout. The image stays in the cache for the next cluster.
set -euo pipefail
[[ $# -ge 3 ]] || { echo "usage: build-image.sh CONTAINERFILE TAG CONTEXT_DIR [BUILDAH_OPTION...]" >&2; exit 2; }
containerfile=$(realpath "$1") tag=$2 context=$(realpath "$3")
shift 3
cd "$(dirname "$0")"
. lib/common.sh
. lib/process.sh
. lib/images.sh
. lib/node.sh

need_root
[[ $tag == */*:* ]] || die "the tag must be a full one, as docker.io/library/dlf-operator:dev, not '$tag'"
exclusively images
./packages.sh
make_base
dir=$(build_image "$containerfile" "$tag" "$context" "$@")
for node in "${NODES[@]}"; do
  if running "$node-containerd"; then load_image "$node" "$tag" "$dir"; fi
done
say "$tag ready"
