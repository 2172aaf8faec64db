# shellcheck shell=bash
# Images without Docker and without a registry: a Debian base made here, Containerfiles built by
# buildah, archives imported into the containerd of each node.

IMAGES=$CACHE/images
SLIM=(
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*'
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright'
  --aptopt='Acquire::Languages "none"'
)

our_buildah() {
  buildah --root "$IMAGES/storage" --runroot "$IMAGES/run" --storage-driver vfs "$@"
}

base_key() { printf '%s\n' "bookworm minbase 1" "${SLIM[@]}" | sha256sum | cut -c1-16; }

# The package sources of this machine, so that the base and what is built on it use its mirror.
# On a machine that is not bookworm there are none, and mmdebstrap takes its default.
debian_sources() {
  # shellcheck disable=SC2016 # apt's own variables
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' 'Created-By: Packages' |
    awk '$4 == "Debian" && $2 ~ /^bookworm/ { print "deb", $1, $2, $3 }' | sort -u
}

# tree_hash DIR ITEM...: names, modes and content of all files below DIR, and the ITEMs.
tree_hash() {
  local dir=$1
  shift
  {
    (cd "$dir" && find . -type f -printf '%p %m\n' | sort)
    (cd "$dir" && find . -type f -print0 | sort -z | xargs -0r sha256sum)
    printf '%s\n' "$@"
  } | sha256sum | cut -c1-16
}

make_base() {
  local key tar log
  key=$(base_key)
  tar=$IMAGES/base-$key.tar
  log=$IMAGES/base.log
  [[ ! -e $tar.built ]] || return 0
  say "making the Debian base image (once per machine; about 1 minute)"
  apt-get -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 || true
  debian_sources >"$IMAGES/sources.list"
  mmdebstrap --variant=minbase "${SLIM[@]}" bookworm "$tar" \
    "$([[ -s $IMAGES/sources.list ]] && printf '%s' "$IMAGES/sources.list")" >>"$log" 2>&1 ||
    { tail -n 30 "$log" >&2; die "mmdebstrap failed"; }
  printf 'FROM scratch\nADD base.tar /\nCMD ["bash"]\n' >"$IMAGES/Containerfile.base"
  mkdir -p "$IMAGES/base-context"
  ln -f "$tar" "$IMAGES/base-context/base.tar"
  our_buildah bud -q -f "$IMAGES/Containerfile.base" -t "$BASE_IMAGE" "$IMAGES/base-context" >>"$log" 2>&1 ||
    { tail -n 30 "$log" >&2; die "buildah could not make the base image"; }
  rm -rf "$IMAGES/base-context" "$tar"
  : >"$tar.built"
}

slug_of() { tr -c 'a-zA-Z0-9.\n' '-' <<<"$1"; }

# build_image CONTAINERFILE TAG CONTEXT [BUILDAH_OPTION...]: prints the archive's path, which ends
# in the hash of everything that went in; what is unchanged is not built again.
build_image() {
  local containerfile=$1 tag=$2 context=$3 slug hash archive old log
  shift 3
  slug=$(slug_of "$tag")
  hash=$(tree_hash "$context" "$(sha256sum <"$containerfile")" "$(base_key)" "$tag" "$@")
  archive=$IMAGES/archives/$slug@$hash.tar
  if [[ ! -e $archive ]]; then
    mkdir -p "$IMAGES/archives"
    log=$IMAGES/$slug.log
    say "building image $tag"
    old=$(our_buildah images -q "$tag" 2>/dev/null || true)
    our_buildah bud --pull-never --isolation chroot --layers "$@" -f "$containerfile" -t "$tag" "$context" >"$log" 2>&1 ||
      { tail -n 40 "$log" >&2; die "buildah could not build $tag (all of it: $log)"; }
    rm -f "$IMAGES/archives/$slug@"*
    our_buildah push -q --disable-compression "$tag" "oci-archive:$archive.partial:$tag" >>"$log" 2>&1 ||
      { tail -n 40 "$log" >&2; die "buildah could not write $tag"; }
    mv "$archive.partial" "$archive"
    drop_old_image "$tag" "$old"
  fi
  printf '%s\n' "$archive"
}

# With the vfs driver every image is a full copy on disk: the one that lost its tag goes.
drop_old_image() {
  [[ -z $2 || $2 == "$(our_buildah images -q "$1")" ]] || our_buildah rmi "$2" >/dev/null 2>&1 || true
}

# load_image NODE TAG ARCHIVE: unless this very archive is what the node has under that name.
load_image() {
  local node=$1 tag=$2 archive=$3 mark
  mark=$RUN/$node/image-hashes/$(slug_of "$tag")
  [[ $(cat "$mark" 2>/dev/null) != "$archive" ]] || return 0
  ctr_of "$node" images import "$archive" >/dev/null
  printf '%s\n' "$archive" >"$mark"
}

pause_archive() {
  local context
  context=$(mktemp -d)
  gcc -static -O2 -s -o "$context/pause" "$HERE/images/pause/pause.c"
  build_image "$HERE/images/pause/Containerfile" "$PAUSE_IMAGE" "$context"
  rm -rf "$context"
}

test_archive() {
  build_image "$HERE/images/test/Containerfile" "$TEST_IMAGE" "$HERE/images/test"
}

# The images that every node has from the start.
load_images() {
  load_image "$1" "$PAUSE_IMAGE" "$PAUSE_ARCHIVE"
  load_image "$1" "$TEST_IMAGE" "$TEST_ARCHIVE"
}

prepare_images() {
  mkdir -p "$IMAGES"
  exclusively images
  make_base
  PAUSE_ARCHIVE=$(pause_archive)
  TEST_ARCHIVE=$(test_archive)
}
