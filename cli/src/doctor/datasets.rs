use std::collections::BTreeMap;

use dlf_core::condition::ConditionType;

use super::{Check, unknown};
use crate::{
    cluster::Cluster,
    datasets::{self, View},
    text,
};

const TITLE: &str = "Datasets";

/// How many Datasets cannot be used, and why.
pub(super) async fn ready(cluster: &Cluster) -> Check {
    let (found, place, flag) = match datasets::list(cluster, None, None).await {
        Err(error) if error.is_forbidden() => {
            let namespace = &cluster.namespace;
            let own = datasets::list(cluster, Some(namespace), None).await;
            let place = format!("in namespace {namespace}; you may not list all");
            (own, place, format!("-n {namespace}"))
        }
        all => (all, "in all namespaces".to_owned(), "-A".to_owned()),
    };
    match found {
        Ok(found) => judge(&found, &place, &flag),
        Err(error) if error.is_forbidden() => Check::skipped(TITLE, "not allowed to look"),
        Err(error) => unknown(TITLE, &error.to_string()),
    }
}

fn judge(found: &[View], place: &str, flag: &str) -> Check {
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for view in found {
        if let Some(reason) = hindered(view) {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    let total = text::counted(found.len() as u64, "Dataset");
    if reasons.is_empty() {
        let all = if found.is_empty() { "" } else { ", all ready" };
        return Check::ok(TITLE, format!("{total} {place}{all}"));
    }
    let not: u64 = reasons.values().sum();
    let mut reasons: Vec<(u64, &str)> = reasons.into_iter().map(|(name, n)| (n, name)).collect();
    reasons.sort_unstable_by(|left, right| right.0.cmp(&left.0).then(left.1.cmp(right.1)));
    let reasons: Vec<String> = reasons
        .into_iter()
        .map(|(count, reason)| format!("{count} {reason}"))
        .collect();
    Check::warn(
        TITLE,
        format!("{not} of {total} not ready {place}: {}", reasons.join(", ")),
        format!(
            "`kubectl dlf get {flag} -o wide` shows which, `kubectl dlf explain NAME -n NAMESPACE` why"
        ),
    )
}

/// Why pods cannot use it; none where they can.
fn hindered(view: &View) -> Option<&str> {
    if view.is_going() {
        return Some("Deleting");
    }
    match view.condition(ConditionType::Ready) {
        Some(ready) if ready.status == "True" => None,
        Some(ready) => Some(&ready.reason),
        None => Some("New"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Outcome;

    fn view(status: &str, reason: &str) -> View {
        View::read(json!({
            "apiVersion": "datashim.io/v1alpha1", "metadata": { "name": "x" }, "spec": {},
            "status": { "conditions": [{
                "type": "Ready", "status": status, "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]},
        }))
        .unwrap()
    }

    #[test]
    fn datasets_that_are_not_ready_are_counted_by_reason() {
        let found = [
            view("True", "Ready"),
            view("False", "SecretMissing"),
            view("False", "NoSuchBucket"),
            view("False", "NoSuchBucket"),
        ];
        let check = judge(&found, "in all namespaces", "-A");
        assert_eq!(check.outcome, Outcome::Warn);
        assert_eq!(
            check.found,
            "3 of 4 Datasets not ready in all namespaces: 2 NoSuchBucket, 1 SecretMissing"
        );
        assert_eq!(judge(&found[..1], "", "").outcome, Outcome::Ok);
    }
}
