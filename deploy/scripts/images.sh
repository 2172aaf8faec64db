#!/usr/bin/env bash
# Builds the programs and their images and brings them to the cluster. A tag is the hash of what is
# in the image, so that an upgrade restarts what changed and nothing else. Prints `COMPONENT TAG`.
#
# On the test cluster nothing else is needed. With CONTEXT=name, where nodes pull from a registry:
#   IMAGE_REPOSITORY=registry.example.com/dlf   where to push (log in before)
#   IMAGE_LOAD='kind load docker-image'         or a command that is given each image instead of a push
#   IMAGE_BUILDER=podman                        docker by default
#   PROFILE=release                             cargo profile; dev by default, as in all tests
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

COMPONENTS=(operator worker csi mounter plugin-host)
CONTEXTS=$ROOT/target/images # one directory per image: what its Containerfile copies
PROFILE=${PROFILE:-dev}
LIBC_OF_IMAGES=2.36 # Debian bookworm's

# Whether programs built on this machine run in the images.
builds_here() {
  [[ $(uname -s) == Linux ]] || return 1
  local libc
  libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || return 1 # "glibc 2.36"
  [[ $(printf '%s\n' "${libc#* }" "$LIBC_OF_IMAGES" | sort -V | tail -n 1) == "$LIBC_OF_IMAGES" ]]
}

build_programs() {
  local component built=$CARGO_TARGET_DIR/$PROFILE binaries=()
  if ! builds_here; then
    say "building the programs in a container: this system's would not run in the images"
    "$(builder)" build -f "$ROOT/deploy/images/Containerfile.build" --build-arg "PROFILE=$PROFILE" --output "$CONTEXTS" "$ROOT" >&2
    return
  fi
  say "building the programs (cargo profile $PROFILE)"
  [[ $PROFILE != dev ]] || built=$CARGO_TARGET_DIR/debug
  for component in "${COMPONENTS[@]}"; do
    binaries+=(--bin "dlf-$component")
  done
  (cd "$ROOT" && cargo build --locked --profile "$PROFILE" "${binaries[@]}" >&2)
  for component in "${COMPONENTS[@]}"; do
    mkdir -p "$CONTEXTS/$component"
    strip -o "$CONTEXTS/$component/dlf-$component" "$built/dlf-$component"
  done
}

builder() {
  local builder=${IMAGE_BUILDER:-docker}
  command -v "$builder" >/dev/null || die "no $builder here: IMAGE_BUILDER names the program that builds images"
  printf '%s' "$builder"
}

tag_of() { # COMPONENT
  cat "$ROOT/deploy/images/Containerfile.$1" "$CONTEXTS/$1/dlf-$1" | sha256sum | cut -c1-12
}

bring() { # COMPONENT TAG
  local containerfile=$ROOT/deploy/images/Containerfile.$1 image
  if on_test_cluster; then
    "$ROOT/tests/cluster/build-image.sh" "$containerfile" "docker.io/library/dlf-$1:$2" "$CONTEXTS/$1" >&2
    return
  fi
  image=${IMAGE_REPOSITORY:+$IMAGE_REPOSITORY/}dlf-$1:$2
  say "building image $image"
  "$(builder)" build -q -f "$containerfile" -t "$image" "$CONTEXTS/$1" >&2
  if [[ -n ${IMAGE_LOAD:-} ]]; then
    $IMAGE_LOAD "$image" >&2 # a command line: split on purpose
  else
    "$(builder)" push "$image" >&2
  fi
}

on_test_cluster || [[ -n ${IMAGE_REPOSITORY:-}${IMAGE_LOAD:-} ]] ||
  die "how do the nodes of '$CONTEXT' get images? Set IMAGE_REPOSITORY=registry/path to push them, or IMAGE_LOAD='kind load docker-image' or the like"
build_programs
for component in "${COMPONENTS[@]}"; do
  tag=$(tag_of "$component")
  bring "$component" "$tag"
  printf '%s %s\n' "$component" "$tag"
done
