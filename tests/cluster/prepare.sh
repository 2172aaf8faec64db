#!/usr/bin/env bash
# Gets all that the test cluster is made of into the cache, and starts nothing: packages, programs, images, S3.
set -euo pipefail
cd "$(dirname "$0")"
. lib/common.sh
. lib/images.sh
. lib/s3.sh

need_root
./packages.sh
./tools.sh kubernetes coredns helm
use_tools
prepare_images
prepare_s3
