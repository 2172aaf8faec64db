# shellcheck shell=bash
# Images without Docker and without a registry: a Debian base made here, Containerfiles built by
# buildah, imported into the containerd of each node.

IMAGES=$CACHE/images
# As in the official image: nothing that apt downloads stays in a layer.
APT_CLEAN='DPkg::Post-Invoke {"rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true";};
APT::Update::Post-Invoke {"rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true";};
Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";'
SLIM=(
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*'
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright'
  --aptopt='Acquire::Languages "none"'
)

# Overlay is many times faster than vfs, which copies the whole image for each step, but it does not
# work where the cache itself lies on an overlay.
storage_driver() {
  local dir=$IMAGES/driver
  if [[ ! -e $dir ]]; then
    mkdir -p "$IMAGES/try"/{lower,upper,work,merged}
    if mount -t overlay overlay -o "lowerdir=$IMAGES/try/lower,upperdir=$IMAGES/try/upper,workdir=$IMAGES/try/work" \
      "$IMAGES/try/merged" 2>/dev/null; then
      umount "$IMAGES/try/merged"
      printf 'overlay\n' >"$dir"
    else
      printf 'vfs\n' >"$dir"
    fi
    rm -rf "$IMAGES/try"
  fi
  cat "$dir"
}

our_buildah() {
  local driver
  driver=$(storage_driver)
  buildah --root "$IMAGES/storage-$driver" --runroot "$IMAGES/run" --storage-driver "$driver" "$@"
}

base_key() { printf '%s\n' "bookworm minbase 2" "$APT_CLEAN" "${SLIM[@]}" | sha256sum | cut -c1-16; }

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
  tar=$IMAGES/base-$(storage_driver)-$key.tar
  log=$IMAGES/base.log
  [[ ! -e $tar.built ]] || return 0
  say "making the Debian base image (once per machine; about 1 minute)"
  apt-get -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 || true
  debian_sources >"$IMAGES/sources.list"
  mmdebstrap --variant=minbase "${SLIM[@]}" bookworm "$tar" \
    "$([[ -s $IMAGES/sources.list ]] && printf '%s' "$IMAGES/sources.list")" >>"$log" 2>&1 ||
    { tail -n 30 "$log" >&2; die "mmdebstrap failed"; }
  mkdir -p "$IMAGES/base-context"
  printf 'FROM scratch\nADD base.tar /\nCOPY docker-clean /etc/apt/apt.conf.d/\nCMD ["bash"]\n' >"$IMAGES/Containerfile.base"
  printf '%s\n' "$APT_CLEAN" >"$IMAGES/base-context/docker-clean"
  ln -f "$tar" "$IMAGES/base-context/base.tar"
  our_buildah bud -q --format oci -f "$IMAGES/Containerfile.base" -t "$BASE_IMAGE" "$IMAGES/base-context" >>"$log" 2>&1 ||
    { tail -n 30 "$log" >&2; die "buildah could not make the base image"; }
  rm -rf "$IMAGES/base-context" "$tar"
  : >"$tar.built"
}

slug_of() { tr -c 'a-zA-Z0-9.\n' '-' <<<"$1"; }

# build_image CONTAINERFILE TAG CONTEXT [BUILDAH_OPTION...]: prints the directory that holds the image,
# named after the hash of everything that went in; what is unchanged is not built again. One image of a
# name is kept, whatever its tags.
build_image() {
  local containerfile=$1 tag=$2 context=$3 slug hash dir old log
  shift 3
  slug=$(slug_of "${tag%:*}")
  hash=$(tree_hash "$context" "$(sha256sum <"$containerfile")" "$(base_key)" "$tag" "$@")
  dir=$IMAGES/built/$slug@$hash
  if [[ ! -d $dir ]]; then
    mkdir -p "$IMAGES/built"
    log=$IMAGES/$slug.log
    say "building image $tag"
    mapfile -t old < <(our_buildah images -q "${tag%:*}" 2>/dev/null)
    our_buildah bud --format oci --pull-never --isolation chroot --layers "$@" -f "$containerfile" -t "$tag" "$context" >"$log" 2>&1 ||
      { tail -n 40 "$log" >&2; die "buildah could not build $tag (all of it: $log)"; }
    rm -rf "$IMAGES/built/$slug@"*
    our_buildah push -q --disable-compression "$tag" "dir:$dir.partial" >>"$log" 2>&1 ||
      { tail -n 40 "$log" >&2; die "buildah could not write $tag"; }
    mv "$dir.partial" "$dir"
    drop_images_but "$tag" "${old[@]}"
  fi
  printf '%s\n' "$dir"
}

# drop_images_but TAG ID...: layers that others use stay.
drop_images_but() {
  local keep id
  keep=$(our_buildah images -q "$1")
  shift
  for id; do
    [[ $id == "$keep" ]] || our_buildah rmi -f "$id" >/dev/null 2>&1 || true
  done
}

# load_image NODE TAG DIR: unless this very image is what the node has under that name.
load_image() {
  local node=$1 tag=$2 dir=$3 mark
  mark=$RUN/$node/image-hashes/$(slug_of "$tag")
  [[ $(cat "$mark" 2>/dev/null) != "$dir" ]] || return 0
  oci_archive "$node" "$tag" "$dir" | ctr_of "$node" images import - >/dev/null
  printf '%s\n' "$dir" >"$mark"
}

# oci_archive NODE TAG DIR: the image as an archive, but for the layers that the node has already.
oci_archive() {
  local node=$1 tag=$2 dir=$3 stage digest blob
  stage=$(mktemp -d)
  mkdir -p "$stage/blobs/sha256"
  printf '{"imageLayoutVersion": "1.0.0"}' >"$stage/oci-layout"
  digest=$(sha256sum <"$dir/manifest.json" | cut -d' ' -f1)
  ln -s "$dir/manifest.json" "$stage/blobs/sha256/$digest"
  printf '{"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": "sha256:%s", "size": %s, "annotations": {"org.opencontainers.image.ref.name": "%s"}}]}' \
    "$digest" "$(stat -c %s "$dir/manifest.json")" "$tag" >"$stage/index.json"
  ctr_of "$node" content ls -q >"$stage.has"
  for blob in "$dir"/*; do
    blob=${blob##*/}
    [[ ${#blob} != 64 ]] || grep -qx "sha256:$blob" "$stage.has" || ln -s "$dir/$blob" "$stage/blobs/sha256/$blob"
  done
  tar -C "$stage" -ch oci-layout index.json blobs
  rm -rf "$stage" "$stage.has"
}

pause_image() {
  local context
  context=$(mktemp -d)
  gcc -static -O2 -s -o "$context/pause" "$HERE/images/pause/pause.c"
  build_image "$HERE/images/pause/Containerfile" "$PAUSE_IMAGE" "$context"
  rm -rf "$context"
}

test_image() {
  build_image "$HERE/images/test/Containerfile" "$TEST_IMAGE" "$HERE/images/test"
}

# The images that every node has from the start.
load_images() {
  load_image "$1" "$PAUSE_IMAGE" "$PAUSE_DIR"
  load_image "$1" "$TEST_IMAGE" "$TEST_DIR"
}

prepare_images() {
  mkdir -p "$IMAGES"
  exclusively images
  make_base
  PAUSE_DIR=$(pause_image)
  TEST_DIR=$(test_image)
}
