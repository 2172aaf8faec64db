use dlf_core::names;
use serde_json::Value;

use super::{Check, log, object, report::Outcome, workloads::INSTALL};
use crate::{
    cluster::{Cluster, Kind},
    text,
};

/// Whether kubelets know the node driver.
pub(super) async fn driver(cluster: &Cluster) -> Check {
    let what = (Kind::CSI_DRIVER, None, names::DRIVER);
    object(cluster, what, INSTALL, |_| {
        Check::ok(format!("CSIDriver {}", names::DRIVER), "present")
    })
    .await
}

/// Whether the API server can trust the operator's webhooks.
pub(super) async fn webhooks(cluster: &Cluster, namespace: &str) -> Vec<Check> {
    let mut checks = Vec::new();
    for kind in [Kind::MUTATING, Kind::VALIDATING] {
        let what = (kind, None, "dlf");
        let check = object(cluster, what, INSTALL, |found| {
            trusted(kind.as_str(), found, namespace)
        });
        checks.push(check.await);
    }
    checks
}

/// The rules of the chart that the API server judges itself.
const POLICIES: [&str; 3] = [
    "pods.dlf.dev",
    "datasetsinternal.dlf.dev",
    "operator.dlf.dev",
];

/// Whether these rules are in force: each has a policy, and a binding by which it refuses.
pub(super) async fn policies(cluster: &Cluster) -> Vec<Check> {
    let mut checks = Vec::new();
    for name in POLICIES {
        let policy = (Kind::POLICY, None, name);
        let policy = object(cluster, policy, INSTALL, |_| Check::ok("", "")).await;
        if policy.outcome != Outcome::Ok {
            checks.push(policy);
            continue;
        }
        let binding = (Kind::POLICY_BINDING, None, name);
        checks.push(object(cluster, binding, INSTALL, |found| refuses(name, found)).await);
    }
    checks
}

fn refuses(name: &str, binding: &Value) -> Check {
    let title = format!("{} {name}", Kind::POLICY.as_str());
    let actions = binding["spec"]["validationActions"].as_array();
    if actions.into_iter().flatten().any(|action| action == "Deny") {
        Check::ok(title, "in force")
    } else {
        Check::fail(
            title,
            "its binding does not say Deny: it refuses nothing",
            INSTALL,
        )
    }
}

fn trusted(kind: &str, found: &Value, namespace: &str) -> Check {
    let title = format!("{kind} dlf");
    let hooks: Vec<&Value> = found["webhooks"].as_array().into_iter().flatten().collect();
    let bundle = |hook: &&Value| {
        let bundle = hook["clientConfig"]["caBundle"].as_str();
        bundle.is_none_or(str::is_empty)
    };
    let without = hooks.iter().copied().filter(bundle);
    let without: Vec<&str> = without.filter_map(|hook| hook["name"].as_str()).collect();
    if without.is_empty() {
        return Check::ok(
            title,
            format!(
                "{}, with a caBundle",
                text::counted(hooks.len() as u64, "webhook")
            ),
        );
    }
    Check::fail(
        title,
        format!(
            "no caBundle for {}: the API server cannot ask it",
            without.join(", ")
        ),
        format!("the operator writes it: {}", log(namespace)),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_webhook_without_a_bundle_is_named() {
        let hook = |bundle: &str| json!({ "name": "pods.dlf.dev", "clientConfig": { "caBundle": bundle } });
        let of = |hook: Value| trusted("X", &json!({ "webhooks": [hook] }), "dlf-system");
        assert_eq!(of(hook("Cg==")).outcome, Outcome::Ok);
        let check = of(hook(""));
        assert_eq!(check.outcome, Outcome::Fail);
        assert!(check.found.contains("pods.dlf.dev"));
    }

    #[test]
    fn a_policy_that_only_warns_is_not_in_force() {
        let of = |actions: Value| {
            let check = refuses(
                "pods.dlf.dev",
                &json!({ "spec": { "validationActions": actions } }),
            );
            check.outcome
        };
        assert_eq!(of(json!(["Audit", "Deny"])), Outcome::Ok);
        assert_eq!(of(json!(["Warn"])), Outcome::Fail);
    }
}
