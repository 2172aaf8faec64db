#!/usr/bin/env bash
# Every test, stage by stage; the last line is `N passed, N failed[, N skipped]`, before it what failed.
#   run.sh [STAGE...]    stages: lint unit control-plane end-to-end; all without arguments
# With CONTEXT=name the tests that need a cluster use that one; with S3_ENDPOINT, S3_KEY and S3_SECRET
# they have an S3. A check counts as one test. A Rust test that cannot run here prints
# `SKIPPED name: reason` and is counted as skipped. Everything a test prints is in target/test/STAGE.log.
set -uo pipefail # not -e: a failure is counted, and the next test runs
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=deploy/scripts/lib.sh
. deploy/scripts/lib.sh
set +e
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
OUT=target/test
TIMES=()
FAILURES=() # `STAGE: what failed`
passed=0 failed=0 skipped=0
mkdir -p "$OUT"

pass() { passed=$((passed + 1)); }
fail() { # STAGE WHAT
  failed=$((failed + 1))
  FAILURES+=("$1: $2")
  printf 'FAILED %s: %s\n' "$1" "$2"
}
skip() { # NAME REASON
  skipped=$((skipped + 1))
  printf 'SKIPPED %s: %s\n' "$1" "$2"
}

# check NAME COMMAND...: silent when it passes.
check() {
  local name=$1 log=$OUT/check-$1.log
  shift
  printf '   %s\n' "$name"
  if "$@" >"$log" 2>&1; then pass; else
    cat "$log"
    fail "check" "$name: $*"
  fi
}

check_format() { cargo fmt --all --check && cargo fmt --check --manifest-path examples/plugin-minimal/Cargo.toml; }
shell_scripts() { git ls-files '*.sh' .ci/run; }
check_scripts() { shell_scripts | xargs shellcheck; }
check_chart() {
  tests/cluster/tools.sh helm || return 1
  local helm
  helm=$(. tests/cluster/lib/common.sh && printf '%s/helm' "$(tool_dir helm)")
  "$helm" lint --strict --quiet deploy/chart &&
    "$helm" lint --strict --quiet deploy/chart --values tests/cluster/chart-plugins.yaml &&
    "$helm" template dlf deploy/chart --namespace dlf-system --values tests/cluster/chart-plugins.yaml >"$OUT/chart-plugins.yaml" &&
    "$helm" template dlf deploy/chart --namespace dlf-system >"$OUT/chart.yaml" &&
    "$helm" template dlf deploy/chart --namespace dlf-system --api-versions security.openshift.io/v1 >"$OUT/chart-openshift.yaml"
}

lint() {
  local tools
  check format check_format
  check clippy cargo clippy --locked --workspace --all-targets -- -D warnings
  RUSTDOCFLAGS='-D warnings' check documentation cargo doc --locked --workspace --no-deps --document-private-items
  if tools=$(tests/lint/tools.sh); then
    check dependencies "$tools/cargo-deny" --locked check bans licenses sources
    check scripts check_scripts
  else
    skip dependencies 'cargo-deny could not be installed'
    skip scripts 'shellcheck could not be installed'
  fi
  if command -v go >/dev/null; then check chart check_chart; else
    skip chart 'helm is built with go, which is not installed'
  fi
}

# What a person wants to see while tests run: the tests, what is skipped, and what failing ones say.
# libtest prints the output of passing tests between "successes:" and the next heading.
show_progress() { # sed -u, because others read a pipe in blocks
  sed -u '/^successes:$/,/^\(failures:\|test result:\)/{/^SKIPPED [^:]*: /b;/^\(failures:\|test result:\)/b;d}'
}

# cargo_tests STAGE THREADS CARGO_OPTION...: runs tests and adds up what libtest reports.
# `--show-output` lets passing tests say SKIPPED.
cargo_tests() {
  local stage=$1 threads=$2 log=$OUT/$1.log status p f i s name
  shift 2
  cargo test --locked --no-fail-fast "$@" -- --show-output --test-threads="$threads" 2>&1 | tee "$log" | show_progress
  status=${PIPESTATUS[0]}
  read -r p f i < <(awk '/^test result:/ { p += $4; f += $6; i += $8 } END { print p + 0, f + 0, i + 0 }' "$log")
  s=$(grep -c '^SKIPPED [^:]*: ' "$log")
  passed=$((passed + p - s)) skipped=$((skipped + s + i)) failed=$((failed + f))
  while read -r name; do
    FAILURES+=("$stage: $name: $(why "$name" "$log")")
  done < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log")
  if [[ $status != 0 && $f == 0 ]]; then fail "$stage" "cargo test ended with $status and no test says why: it did not compile, or a test program died"; fi
}

# why TEST LOG: the message it panicked with, cut to what fits a screen.
why() {
  awk -v test="thread '$1'" 'index($0, test) == 1 { getline; print substr($0, 1, 600); exit }' "$2"
}

# The crates' own tests; those of the file system, the client, the driver and the worker use the test
# cluster's servers, which another cluster does not have.
unit() {
  if on_test_cluster; then with_cluster || { fail unit 'no cluster'; return; }; else export DLF_TEST_ENV=/dev/null; fi
  # Some are libraries that tests load.
  check examples cargo build --locked --workspace --exclude dlf-tests --examples
  cargo_tests unit 2 --workspace --exclude dlf-tests --lib --bins --tests
  check plugin-minimal tests/examples.sh minimal
  check plugin-template tests/examples.sh template
}

# with_cluster: DLF_TEST_ENV tells the tests what there is.
with_cluster() {
  if on_test_cluster; then
    tests/cluster/up.sh && tests/cluster/tools.sh helm csi-sanity || return 1
    DLF_TEST_ENV=$CLUSTER_ENV
  else
    DLF_TEST_ENV=$(tests/context-env.sh) || return 1
  fi
  export DLF_TEST_ENV
}

with_dlf() { # STAGE
  with_cluster || { fail "$1" 'no cluster'; return 1; }
  deploy/scripts/install.sh || { fail "$1" 'DLF does not come up'; return 1; }
}

control-plane() {
  with_dlf control-plane || return
  cargo_tests control-plane 4 -p dlf-tests --test control_plane
  # Its quickest section, so that `make bench` still works when somebody wants figures.
  if on_test_cluster; then check bench bench/run.sh webhook; else
    skip bench 'figures are of processes on this machine'
  fi
}

end-to-end() {
  with_dlf end-to-end || return
  cargo_tests end-to-end 3 -p dlf-tests --test end_to_end --test attacks
  cargo_tests plugins 1 -p dlf-tests --test plugins
  with_dlf faults && cargo_tests faults 1 -p dlf-tests --test faults # without the plugins
}

stage() { # NAME
  local began=$SECONDS
  printf '\n== %s\n' "$1"
  "$1"
  TIMES+=("$(awk -v s=$((SECONDS - began)) -v n="$1" 'BEGIN { printf "%-14s %5.1f minutes", n, s / 60 }')")
}

[[ $# -gt 0 ]] || set -- lint unit control-plane end-to-end
for name; do
  case $name in
    lint | unit | control-plane | end-to-end) stage "$name" ;;
    *) printf 'run.sh: no stage called %s\n' "$name" >&2; exit 2 ;;
  esac
done
printf '\n'
printf '%s\n' "${TIMES[@]}"
if ((failed > 0)); then
  printf '\nFailed, see %s/STAGE.log and check-NAME.log:\n' "$OUT"
  printf '  %s\n' "${FAILURES[@]}"
fi
printf '%s passed, %s failed%s\n' "$passed" "$failed" "$( ((skipped == 0)) || printf ', %s skipped' "$skipped")"
((failed == 0))
