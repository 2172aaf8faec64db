# shellcheck shell=bash
# The long forms of some tests: what they watch, and when each passed last (tests/long.tsv: name, commit, seconds).
# Sourced by run.sh.

PASSES=tests/long.tsv
LONG=(burst certificates clock first-chart model growth) # the longest last
# shellcheck disable=SC2034 # run.sh chooses tests by it
declare -A LONG_TESTS=(
  [growth]='test(/^growth::/)'
  [clock]='test(/^clock::/)'
  [certificates]='test(/^certificates::/)'
  [first-chart]='test(the_first_chart_is_upgraded)'
  [burst]='test(/^burst::/)'
  [model]='binary(model)'
)
# shellcheck disable=SC2034 # run.sh looks there
declare -A LONG_PROGRAMS=([model]=model) # of the others it is faults
# A change of these may show in the long form only.
declare -A LONG_WATCHES=(
  [growth]='operator/src worker/src csi/src mount/src cache/src listen/src plugins/host/src'
  [clock]='operator/src/nodes operator/src/leader operator/src/leader.rs operator/src/certificates worker/src csi/src listen/src'
  [certificates]='operator/src/certificates listen/src deploy/chart'
  [first-chart]='deploy/chart operator/src/uninstall operator/src/installation'
  [burst]='csi/src mount/src operator/src/webhook operator/src/nodes'
  [model]='mount/src mount/tests/model cache/src docs/semantics.md'
)

# long_is_due: says where something is newer than the last pass. It fails nothing: who touches it decides when.
long_is_due() {
  local name commit
  for name in "${LONG[@]}"; do
    commit=$(awk -F '\t' -v n="$name" '$1 == n { print $2 }' "$PASSES")
    # shellcheck disable=SC2086 # several paths
    if [[ -z $commit ]]; then
      printf '   long: %s has never passed: make test-long\n' "$name"
    elif ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
      printf '   long: %s passed at %s, which is not in this history\n' "$name" "$commit"
    elif ! git diff --quiet "$commit" -- ${LONG_WATCHES[$name]}; then
      printf '   long: what %s watches has changed since it passed at %s: make test-long\n' "$name" "$commit"
    fi
  done
}

# long_passed NAME SECONDS: of this commit, unless the tree is another.
long_passed() {
  local commit
  commit=$(git rev-parse --short=10 HEAD)
  if ! git diff --quiet HEAD -- . ":!$PASSES"; then
    printf '   %s passed in %s s with changes that are not committed: %s stays as it is\n' "$1" "$2" "$PASSES"
    return
  fi
  awk -F '\t' -v n="$1" '$1 != n' "$PASSES" >"$PASSES.new"
  printf '%s\t%s\t%s\n' "$1" "$commit" "$2" >>"$PASSES.new"
  sort -o "$PASSES" "$PASSES.new"
  rm "$PASSES.new"
}
