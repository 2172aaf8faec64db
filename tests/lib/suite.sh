# shellcheck shell=bash
# Rust tests by cargo-nextest (.config/nextest.toml), and one more run of those that failed on a cluster.
# Targets are chosen by name, never by package: for one package alone cargo resolves other features, and compiles
# much once more.
# Sourced by run.sh.

JUNIT=target/nextest
COMPILED_WITHIN=60m # and run: each test has a limit of its own
PROCESS_KIB_MAX=$((12 * 1024 * 1024)) # of address space: a test that takes more fails, and the machine lives on

# What a person wants to see while tests run: each test, and what failing ones say. All else is in the log.
show_progress() { grep --line-buffered -vE '^ *(SLOW|Compiling|Nextest run ID|Starting|Summary|────)|^ *Finished `' || true; }

# nextest LOG PROFILE OPTION...: gives the runner's status.
nextest() {
  local log=$1 profile=$2 programs
  shift 2
  programs=$(timeout 10m tests/tools.sh programs) || { printf 'cargo-nextest could not be installed\n'; return 1; }
  rm -f "$JUNIT/$profile/junit.xml"
  {
    ulimit -Sv "$PROCESS_KIB_MAX"
    timeout --kill-after=30s "$COMPILED_WITHIN" "$programs/cargo-nextest" nextest run --locked --profile "$profile" "$@" 2>&1
  } | tee "$log" | show_progress
  return "${PIPESTATUS[0]}"
}

verdict() { cargo run --locked -q --bin dlf-verdict -- "$@"; }

# ran LOG PROFILE NAME: keeps the runner's report as NAME.xml; without one, nothing ran.
ran() {
  if [[ -s $JUNIT/$2/junit.xml ]]; then mv "$JUNIT/$2/junit.xml" "$OUT/$3.xml"; else
    fail "$3" "$2" "no test ran: it did not compile, or there is none; see $1"
    return 1
  fi
}

# rust_tests STAGE PROFILE OPTION...: one run.
rust_tests() {
  local stage=$1 profile=$2 log=$OUT/$1.log
  shift 2
  nextest "$log" "$profile" "$@"
  ran "$log" "$profile" "$stage" && judged "$stage" "$OUT/$stage.xml"
}

judged() { # STAGE REPORT [REPORT]
  verdict judge "$1" "$TIMES" "${@:2}" || fail "$1" verdict "its report could not be read: ${*:2}"
}

# cluster_tests STAGE INSTALL THREADS OPTION...: what fails is run once more, alone, after a reset by INSTALL.
cluster_tests() {
  local stage=$1 install=$2 threads=$3 log=$OUT/$1.log again
  shift 3
  nextest "$log" cluster "$@" --test-threads "$threads"
  ran "$log" cluster "$stage" || return
  again=$(verdict again "$OUT/$stage.xml")
  if [[ -z $again ]]; then
    judged "$stage" "$OUT/$stage.xml"
    return
  fi
  printf '\n-- %s: what failed, once more, alone\n' "$stage"
  evidence "$OUT/$stage-cluster.log"
  if ! reset "$install"; then
    judged "$stage" "$OUT/$stage.xml"
    fail "$stage" reset 'the cluster could not be brought back, so nothing was run once more'
    return
  fi
  nextest "$OUT/$stage-again.log" cluster "$@" --test-threads 1 --filterset "$again"
  if ran "$OUT/$stage-again.log" cluster "$stage-again"; then
    judged "$stage" "$OUT/$stage.xml" "$OUT/$stage-again.xml"
  else
    judged "$stage" "$OUT/$stage.xml"
  fi
}

# evidence FILE: what there is and what our programs said, before a reset takes it away.
evidence() (
  use_cluster
  ours=(--request-timeout 20s --namespace "$NAMESPACE")
  kubectl --request-timeout 20s get namespaces,dlf,pods --all-namespaces --output wide
  kubectl --request-timeout 20s get dlf --all-namespaces --output yaml
  kubectl "${ours[@]}" get events --sort-by .lastTimestamp
  kubectl "${ours[@]}" get pods --output name | while read -r pod; do
    printf '\n==> %s\n' "$pod"
    kubectl "${ours[@]}" logs "$pod" --all-containers --since 30m </dev/null
    kubectl "${ours[@]}" logs "$pod" --all-containers --since 30m --previous </dev/null
  done
) >"$1" 2>&1

# reset INSTALL: a cluster as a stage finds it: chart as installed, a leader, nothing of tests.
reset() {
  local workloads=deployments,daemonsets,statefulsets
  with_cluster || return 1
  (
    use_cluster
    kubectl delete validatingadmissionpolicybindings,validatingadmissionpolicies dlf-test-refusals --ignore-not-found
    kubectl delete namespaces --selector dlf-test=true --wait=false
    # What a test did to them by hand goes with them; the installation makes them again.
    ! on_test_cluster || kubectl --namespace "$NAMESPACE" delete "$workloads" --all
  ) >"$OUT/reset.log" 2>&1 || return 1
  timeout 15m "$install" >>"$OUT/reset.log" 2>&1 && wait_for_leader
}

# wait_for_leader: at most a minute. One that ends gives its Lease back, one that dies holds it for 10 s.
wait_for_leader() {
  local end=$((SECONDS + 60))
  until has_leader >>"$OUT/reset.log" 2>&1; do
    ((SECONDS < end)) || return 1
    sleep 1 # the interval of this bounded poll
  done
}

has_leader() (
  use_cluster
  holder=$(kubectl --request-timeout 10s --namespace "$NAMESPACE" get lease dlf-operator --output 'jsonpath={.spec.holderIdentity}')
  [[ -n $holder ]] && kubectl --request-timeout 10s --namespace "$NAMESPACE" get pod "$holder"
)
