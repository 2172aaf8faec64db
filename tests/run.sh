#!/usr/bin/env bash
# Every test, stage by stage; the last line is `N passed, N failed[, N skipped]`.
#   run.sh [STAGE...]    stages: lint unit control-plane end-to-end; all without arguments
# A check of stage lint counts as one test. A Rust test that cannot run here prints
# `SKIPPED name: reason` and is counted as skipped.
set -uo pipefail # not -e: a failure is counted, and the next test runs
cd "$(dirname "$0")/.." || exit 1
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/dlf/target}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
OUT=target/test
TIMES=()
passed=0 failed=0 skipped=0
mkdir -p "$OUT"

pass() { passed=$((passed + 1)); }
fail() {
  failed=$((failed + 1))
  printf 'FAILED %s\n' "$*"
}
skip() { # NAME REASON
  skipped=$((skipped + 1))
  printf 'SKIPPED %s: %s\n' "$1" "$2"
}

# check NAME COMMAND...: silent when it passes.
check() {
  local name=$1 log=$OUT/lint-$1.log
  shift
  printf '   %s\n' "$name"
  if "$@" >"$log" 2>&1; then pass; else
    cat "$log"
    fail "$name: $*"
  fi
}

shell_scripts() { git ls-files '*.sh' .ci/run .githooks 2>/dev/null; }
check_scripts() { shell_scripts | xargs shellcheck; }
check_chart() {
  tests/cluster/tools.sh helm || return 1
  local helm
  helm=$(. tests/cluster/lib/common.sh && printf '%s/helm' "$(tool_dir helm)")
  "$helm" lint --strict --quiet deploy/chart &&
    "$helm" template dlf deploy/chart --namespace dlf-system >"$OUT/chart.yaml" &&
    "$helm" template dlf deploy/chart --namespace dlf-system --api-versions security.openshift.io/v1 >"$OUT/chart-openshift.yaml"
}

lint() {
  check format cargo fmt --all --check
  check clippy cargo clippy --locked --workspace --all-targets -- -D warnings
  RUSTDOCFLAGS='-D warnings' check documentation cargo doc --locked --workspace --no-deps --document-private-items
  if cargo deny --version >/dev/null 2>&1; then check dependencies cargo deny --locked check; else
    skip dependencies 'cargo-deny is not installed (cargo install --locked cargo-deny)'
  fi
  if command -v shellcheck >/dev/null; then check scripts check_scripts; else
    skip scripts 'shellcheck is not installed'
  fi
  if command -v go >/dev/null; then check chart check_chart; else
    skip chart 'helm is built with go, which is not installed'
  fi
}

# cargo_tests STAGE THREADS CARGO_OPTION...: runs tests and adds up what libtest reports. `--show-output`
# lets passing tests say SKIPPED; everything a test prints stands in the log too.
cargo_tests() {
  local stage=$1 threads=$2 log=$OUT/$1.log status p f i s
  shift 2
  cargo test --locked --no-fail-fast "$@" -- --show-output --test-threads="$threads" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  read -r p f i < <(awk '/^test result:/ { p += $4; f += $6; i += $8 } END { print p + 0, f + 0, i + 0 }' "$log")
  s=$(grep -c '^SKIPPED [^:]*: ' "$log")
  passed=$((passed + p - s)) skipped=$((skipped + s + i)) failed=$((failed + f))
  if [[ $status != 0 && $f == 0 ]]; then fail "$stage: cargo test ended with $status and no test says why: it did not compile, or a test program died"; fi
}

# The crates' own tests; those of the file system, the client and the worker use the cluster's servers.
unit() {
  with_cluster || { fail 'unit: no cluster'; return; }
  cargo_tests unit 2 --workspace --exclude dlf-tests --lib --bins --tests
}

with_cluster() {
  tests/cluster/up.sh && tests/cluster/tools.sh helm csi-sanity && set -a && . target/cluster/cluster.env && set +a
}

control-plane() {
  with_cluster || { fail 'control-plane: no cluster'; return; }
  deploy/scripts/install.sh || { fail 'control-plane: DLF does not come up'; return; }
  cargo_tests control-plane 4 -p dlf-tests --test control_plane
}

end-to-end() {
  with_cluster || { fail 'end-to-end: no cluster'; return; }
  deploy/scripts/install.sh || { fail 'end-to-end: DLF does not come up'; return; }
  cargo_tests end-to-end 3 -p dlf-tests --test end_to_end
  cargo_tests faults 1 -p dlf-tests --test faults
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
printf '%s passed, %s failed%s\n' "$passed" "$failed" "$( ((skipped == 0)) || printf ', %s skipped' "$skipped")"
((failed == 0))
