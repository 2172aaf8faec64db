#!/usr/bin/env bash
# Every test, stage by stage; the last line is `N passed, N failed[, N skipped]`, before it what failed, what was
# flaky and what took longest.
#   run.sh [STAGE...]    stages: lint unit control-plane end-to-end faults; all of these without arguments
#   run.sh long          the long forms of some tests, before a release and where lint says that one is due
# With CONTEXT=name the tests that need a cluster use that one; with S3_ENDPOINT, S3_KEY and S3_SECRET they have an
# S3. A check counts as one test. A Rust test that cannot run here prints `SKIPPED name: reason`. A test that fails
# on a cluster is run once more, alone, after a reset; what passes then is FLAKY, counted apart, and more than two
# fail the run. DLF_PATIENCE=2 doubles what tests wait, for slow machines. Everything a test prints is in
# target/test/STAGE.xml, its seconds in target/test/times.tsv.
set -uo pipefail # not -e: a failure is counted, and the next test runs
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=deploy/scripts/lib.sh
. deploy/scripts/lib.sh
set +e
for part in tally lint long suite; do
  # shellcheck disable=SC1090 # the files beside this one
  . "tests/lib/$part.sh"
done
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
STAGES=(lint unit control-plane end-to-end faults)
STAGE_MINUTES=()
TOOLS_LATE_MINUTES=5 # what only some tests need may be so late for a cluster stage

# get_tools: in the background, since lint and unit need little of it.
get_tools() {
  on_test_cluster || return 0
  tests/tools.sh >"$OUT/tools.log" 2>&1 &
  TOOLS=$!
}

# wait_for_tools: what is not there then is SKIPPED with that reason, by the tests that need it.
wait_for_tools() {
  local end=$((SECONDS + TOOLS_LATE_MINUTES * 60))
  [[ -n ${TOOLS:-} ]] || return 0
  while kill -0 "$TOOLS" 2>/dev/null && ((SECONDS < end)); do sleep 1; done # the interval of this bounded poll
  kill -0 "$TOOLS" 2>/dev/null || { wait "$TOOLS" || printf 'tests/tools.sh failed, see %s/tools.log\n' "$OUT"; TOOLS=; }
}

# with_cluster: DLF_TEST_ENV tells the tests what there is.
with_cluster() {
  if on_test_cluster; then
    timeout 40m tests/cluster/up.sh || return 1
    DLF_TEST_ENV=$CLUSTER_ENV
  else
    DLF_TEST_ENV=$(tests/context-env.sh) || return 1
  fi
  export DLF_TEST_ENV
}

# with_dlf STAGE INSTALL: the cluster, and DLF on it.
with_dlf() {
  with_cluster || { fail "$1" cluster 'no cluster'; return 1; }
  timeout 30m "$2" || { fail "$1" install 'DLF does not come up'; return 1; }
}

# The crates' own tests; those of the file system, the client, the driver and the worker use the test
# cluster's servers, which another cluster does not have.
unit() {
  if on_test_cluster; then with_cluster || { fail unit cluster 'no cluster'; return; }; else export DLF_TEST_ENV=/dev/null; fi
  # Some are libraries that tests load.
  check unit examples 30 cargo build --locked --workspace --examples
  rust_tests unit default --workspace --lib --bins --tests --filterset 'not (package(dlf-tests) & kind(test))'
  check unit plugin-minimal 15 tests/examples.sh minimal
  check unit plugin-shelf 15 tests/examples.sh shelf
  check unit plugin-template 15 tests/examples.sh template
}

control-plane() {
  with_dlf control-plane deploy/scripts/install.sh || return
  cluster_tests control-plane deploy/scripts/install.sh 4 --test control_plane
  # Its quickest section, so that `make bench` still works when somebody wants figures.
  if on_test_cluster; then check control-plane bench 15 bench/run.sh webhook; else
    skip control-plane bench 'figures are of processes on this machine'
  fi
}

# Also the attacks of a tenant, and plugins of others, which are installed for all of it.
end-to-end() {
  local install=deploy/scripts/install.sh
  ! on_test_cluster || install=tests/plugins/up.sh
  wait_for_tools
  with_dlf end-to-end "$install" || return
  cluster_tests end-to-end "$install" 4 --test end_to_end --test attacks --test plugins
}

faults() {
  with_dlf faults deploy/scripts/install.sh || return
  cluster_tests faults deploy/scripts/install.sh 1 --test faults
}

# Nothing is run once more, and nothing is skipped for want of a tool.
long() {
  local name began
  export DLF_LONG=1
  timeout 40m tests/tools.sh || { fail long tools 'what the tests need could not be had'; return; }
  with_dlf long deploy/scripts/install.sh || return
  for name in "${LONG[@]}"; do
    began=$SECONDS
    rust_tests "long-$name" long --test "${LONG_PROGRAMS[$name]:-faults}" --test-threads 1 --filterset "${LONG_TESTS[$name]}"
    if ! awk -F '\t' -v s="long-$name" '$1 == s { print $3 }' "$TIMES" | grep -qvx passed; then
      long_passed "$name" $((SECONDS - began))
    fi
  done
}

stage() { # NAME
  local began=$SECONDS
  printf '\n== %s\n' "$1"
  "$1"
  STAGE_MINUTES+=("$(awk -v s=$((SECONDS - began)) -v n="$1" 'BEGIN { printf "%-14s %5.1f minutes", n, s / 60 }')")
}

[[ $# -gt 0 ]] || set -- "${STAGES[@]}"
for name; do
  [[ " ${STAGES[*]} long " == *" $name "* ]] || { printf 'run.sh: no stage called %s; there are: %s long\n' "$name" "${STAGES[*]}" >&2; exit 2; }
done
begin_tally
[[ $* == lint ]] || get_tools
for name; do stage "$name"; done
printf '\n'
printf '%s\n' "${STAGE_MINUTES[@]}"
end_tally
