# shellcheck shell=bash
# What passed, failed and was skipped, and how long it took: a row each in target/test/times.tsv. Sourced by run.sh.

OUT=target/test
TIMES=$OUT/times.tsv # stage, seconds, outcome, test, message; tabs between them
FLAKY_MAX=2          # more in one run are no bad luck
SLOWEST=15           # tests whose seconds are shown

begin_tally() {
  mkdir -p "$OUT"
  rm -rf "$OUT/flaky"
  : >"$TIMES"
}

row() { # STAGE SECONDS OUTCOME TEST MESSAGE
  printf '%s\t%.1f\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "${5//[$'\t\n']/ }" >>"$TIMES"
}

fail() { # STAGE TEST MESSAGE [SECONDS]
  row "$1" "${4:-0}" failed "$2" "$3"
  printf 'FAILED %s: %s: %s\n' "$1" "$2" "$3"
}

skip() { # STAGE TEST REASON
  row "$1" 0 skipped "$2" "$3"
  printf 'SKIPPED %s: %s\n' "$2" "$3"
}

seconds_since() { # EPOCHREALTIME
  awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'
}

# check STAGE NAME MINUTES COMMAND...: one test, silent when it passes. COMMAND may be an exported function.
check() {
  local stage=$1 name=$2 minutes=$3 log=$OUT/check-$2.log began=$EPOCHREALTIME status
  shift 3
  printf '   %s\n' "$name"
  timeout --kill-after=10s "${minutes}m" bash -c '"$@"' check "$@" >"$log" 2>&1
  status=$?
  if [[ $status == 0 ]]; then
    row "$stage" "$(seconds_since "$began")" passed "$name" ''
    return
  fi
  cat "$log"
  case $status in
    124 | 137) fail "$stage" "$name" "it did not end within $minutes minutes: $*" "$(seconds_since "$began")" ;;
    *) fail "$stage" "$name" "$* ended with $status, see $log" "$(seconds_since "$began")" ;;
  esac
}

count() { # OUTCOME
  awk -F '\t' -v o="$1" '$3 == o { n++ } END { print n + 0 }' "$TIMES"
}

listed() { # OUTCOME WORD
  awk -F '\t' -v o="$1" -v w="$2" '$3 == o { printf "  %s %s: %s: %s\n", w, $1, $4, $5 }' "$TIMES"
}

# end_tally: what a reader of the last screen needs; fails if a test did.
end_tally() {
  local flaky failed skipped
  printf '\nThe slowest (all: %s):\n' "$TIMES"
  sort -t $'\t' -k 2,2nr "$TIMES" | head -n "$SLOWEST" | awk -F '\t' '{ printf "  %7.1f s  %-14s %s\n", $2, $1, $4 }'
  flaky=$(count flaky)
  if ((flaky > 0)); then
    printf '\n%s flaky: failed, and passed when run once more, alone (what they said: %s/flaky):\n' "$flaky" "$OUT"
    listed flaky FLAKY
  fi
  if ((flaky > FLAKY_MAX)); then fail run flaky "$flaky tests are flaky in one run, and at most $FLAKY_MAX may be"; fi
  failed=$(count failed) skipped=$(count skipped)
  if ((failed > 0)); then
    printf '\nFailed (all they said: %s/STAGE.log, check-NAME.log):\n' "$OUT"
    listed failed FAILED
  fi
  printf '%s passed, %s failed%s\n' "$(($(count passed) + flaky))" "$failed" "$( ((skipped == 0)) || printf ', %s skipped' "$skipped")"
  ((failed == 0))
}
