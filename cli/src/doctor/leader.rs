use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::{Check, absent, log, unknown};
use crate::cluster::{Cluster, Kind, Looked};

/// Name of the operator's Lease.
const LEASE: &str = "dlf-operator";
/// A leader renews every 2 s. A renewal this recent by the clock here needs no second look.
const RECENT_SECONDS: i64 = 10;
/// Otherwise clocks may differ: whether it is renewed shows in this time, twice what it takes.
const SECOND_LOOK: Duration = Duration::from_secs(4);

/// Whether one of the operators leads.
pub(super) async fn lease(cluster: &Cluster, namespace: &str) -> Check {
    let title = format!("Lease {LEASE}");
    let look = || cluster.get(Kind::LEASE, Some(namespace), LEASE);
    let first = match Looked::from(look().await) {
        Looked::Seen(Some(lease)) => lease,
        Looked::Seen(None) => {
            let remedy = format!("the operator makes it when it starts: {}", log(namespace));
            return Check::fail(title, absent(Some(namespace)), remedy);
        }
        Looked::Forbidden => return Check::skipped(title, "not allowed to look"),
        Looked::Failed(reason) => return unknown(title, &reason),
    };
    if is_recent(&first, Timestamp::now()) {
        return judge(title, &first, true, namespace);
    }
    tokio::time::sleep(SECOND_LOOK).await;
    match look().await {
        Ok(Some(second)) => {
            let renewed = second["spec"]["renewTime"] != first["spec"]["renewTime"];
            judge(title, &second, renewed, namespace)
        }
        Ok(None) => Check::fail(title, absent(Some(namespace)), log(namespace)),
        Err(error) => unknown(title, &error.to_string()),
    }
}

fn is_recent(lease: &Value, now: Timestamp) -> bool {
    let renewed = lease["spec"]["renewTime"].as_str();
    let renewed: Option<Timestamp> = renewed.and_then(|time| time.parse().ok());
    renewed.is_some_and(|renewed| {
        let seconds = now.as_second() - renewed.as_second();
        (0..=RECENT_SECONDS).contains(&seconds)
    })
}

fn judge(title: String, lease: &Value, renewed: bool, namespace: &str) -> Check {
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    if holder.is_empty() {
        return Check::fail(
            title,
            "nobody holds it, so no Dataset is worked on",
            format!("an operator takes it within seconds: {}", log(namespace)),
        );
    }
    if renewed {
        return Check::ok(title, format!("held by {holder}, and renewed"));
    }
    let last = lease["spec"]["renewTime"].as_str().unwrap_or("never");
    Check::fail(
        title,
        format!("held by {holder}, and not renewed since {last}: no Dataset is worked on"),
        format!(
            "another operator takes over within 15 s if one runs: {}",
            log(namespace)
        ),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn a_lease_that_nobody_renews_is_a_failure() {
        let lease = |holder: &str| json!({ "spec": { "holderIdentity": holder, "renewTime": "2026-01-01T00:00:00.000000Z" } });
        let outcome = |lease: &Value, renewed| judge("L".to_owned(), lease, renewed, "ns").outcome;
        assert_eq!(outcome(&lease("a"), true), Outcome::Ok);
        assert_eq!(outcome(&lease("a"), false), Outcome::Fail);
        assert_eq!(outcome(&lease(""), true), Outcome::Fail);
        let at = |text: &str| text.parse().unwrap();
        assert!(is_recent(&lease("a"), at("2026-01-01T00:00:05Z")));
        assert!(!is_recent(&lease("a"), at("2026-01-01T00:01:00Z")));
        assert!(
            !is_recent(&lease("a"), at("2025-12-31T23:00:00Z")),
            "the clock here is behind"
        );
    }
}
