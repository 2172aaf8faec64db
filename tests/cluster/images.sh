#!/usr/bin/env bash
# Makes the base image and the images every node has (pause, test) in the cache. `up.sh` calls it.
set -euo pipefail
cd "$(dirname "$0")"
. lib/common.sh
. lib/images.sh

need_root
prepare_images
say "images ready in $IMAGES"
