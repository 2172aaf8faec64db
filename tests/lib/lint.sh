# shellcheck shell=bash
# Stage lint: what needs no test to run. Sourced by run.sh.

check_format() {
  cargo fmt --all --check && check_gofmt &&
    for example in minimal shelf; do cargo fmt --check --manifest-path "examples/plugin-$example/Cargo.toml" || return 1; done
}
check_gofmt() {
  local odd
  odd=$(gofmt -l tests/programs) || return
  [[ -z $odd ]] || { printf 'not as gofmt has it: %s\n' "$odd"; return 1; }
}
check_documentation() { RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items; }
check_scripts() { git ls-files '*.sh' .ci/run | xargs shellcheck; }
check_chart() {
  local helm
  tests/cluster/tools.sh helm || return 1
  helm=$(. tests/cluster/lib/common.sh && printf '%s/helm' "$(tool_dir helm)")
  "$helm" lint --strict --quiet deploy/chart &&
    "$helm" lint --strict --quiet deploy/chart --values tests/cluster/chart-plugins.yaml &&
    "$helm" template dlf deploy/chart --namespace dlf-system --values tests/cluster/chart-plugins.yaml >target/test/chart-plugins.yaml &&
    "$helm" template dlf deploy/chart --namespace dlf-system >target/test/chart.yaml &&
    "$helm" template dlf deploy/chart --namespace dlf-system --api-versions security.openshift.io/v1 >target/test/chart-openshift.yaml
}
export -f check_format check_gofmt check_documentation check_scripts check_chart

lint() {
  local programs
  check lint format 5 check_format
  check lint clippy 30 cargo clippy --locked --workspace --all-targets -- -D warnings
  check lint documentation 15 check_documentation
  if programs=$(timeout 10m tests/tools.sh programs); then
    check lint dependencies 5 "$programs/cargo-deny" --locked check bans licenses sources
    check lint scripts 5 check_scripts
  else
    skip lint dependencies 'cargo-deny could not be installed'
    skip lint scripts 'shellcheck could not be installed'
  fi
  check lint chart 10 check_chart
  long_is_due
}
