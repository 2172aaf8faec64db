use dlf_core::names;
use serde_json::Value;

use super::{Line, log, object, workloads::INSTALL};
use crate::{
    cluster::{Cluster, Kind},
    text,
};

/// Whether kubelets know the node driver.
pub(super) async fn driver(cluster: &Cluster) -> Line {
    let what = (Kind::CSI_DRIVER, None, names::DRIVER);
    object(cluster, what, INSTALL, |_| {
        Line::ok(format!("CSIDriver {}", names::DRIVER), "present")
    })
    .await
}

/// Whether the API server can trust the operator's webhooks.
pub(super) async fn webhooks(cluster: &Cluster, namespace: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for kind in [Kind::MUTATING, Kind::VALIDATING] {
        let what = (kind, None, "dlf");
        let line = object(cluster, what, INSTALL, |found| {
            trusted(kind.as_str(), found, namespace)
        });
        lines.push(line.await);
    }
    lines
}

fn trusted(kind: &str, found: &Value, namespace: &str) -> Line {
    let title = format!("{kind} dlf");
    let hooks: Vec<&Value> = found["webhooks"].as_array().into_iter().flatten().collect();
    let bundle = |hook: &&Value| {
        let bundle = hook["clientConfig"]["caBundle"].as_str();
        bundle.is_none_or(str::is_empty)
    };
    let without = hooks.iter().copied().filter(bundle);
    let without: Vec<&str> = without.filter_map(|hook| hook["name"].as_str()).collect();
    if without.is_empty() {
        return Line::ok(
            title,
            format!(
                "{}, with a caBundle",
                text::counted(hooks.len() as u64, "webhook")
            ),
        );
    }
    Line::fail(
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
    use crate::doctor::Outcome;

    #[test]
    fn a_webhook_without_a_bundle_is_named() {
        let hook = |bundle: &str| json!({ "name": "pods.dlf.dev", "clientConfig": { "caBundle": bundle } });
        let of = |hook: Value| trusted("X", &json!({ "webhooks": [hook] }), "dlf-system");
        assert_eq!(of(hook("Cg==")).outcome, Outcome::Ok);
        let line = of(hook(""));
        assert_eq!(line.outcome, Outcome::Fail);
        assert!(line.found.contains("pods.dlf.dev"));
    }
}
