#!/usr/bin/env bash
# Builds what the examples' plugins and their caches run in, and loads it into every node of the
# running cluster. Prints `NAME IMAGE`. Nothing happens to an image that is there already.
#   cache-images.sh [NAME...]   names: nginx varnish python; all without one
# Not in up.sh: only tests with caches of others need them.
set -euo pipefail
cd "$(dirname "$0")"
. lib/common.sh

CACHE_IMAGES=(nginx varnish python)

need_root
exclusively images
[[ $# -gt 0 ]] || set -- "${CACHE_IMAGES[@]}"
for name; do
  [[ " ${CACHE_IMAGES[*]} " == *" $name "* ]] || die "no image called $name; there are: ${CACHE_IMAGES[*]}"
  image=docker.io/library/dlf-test-$name:1
  ./build-image.sh "images/$name/Containerfile" "$image" "images/$name"
  printf '%s %s\n' "$name" "$image"
done
