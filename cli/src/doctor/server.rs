use dlf_core::api::{ApiGroup, Dataset, DatasetInternal, VERSION};
use serde_json::Value;

use super::{Line, unknown};
use crate::cluster::{Cluster, Kind, Looked};

/// The oldest Kubernetes that DLF supports, as its chart says.
const OLDEST: (u32, u32) = (1, 33);

/// Whether the API server is new enough; an error where it does not answer at all.
pub(super) async fn version(cluster: &Cluster) -> Result<Line, Line> {
    match cluster.read("/version").await {
        Ok(version) => Ok(judge(&version)),
        Err(error) if error.is_forbidden() => Ok(Line::skipped(
            "API server",
            "not allowed to ask for its version",
        )),
        Err(error) => Err(Line::fail(
            "API server",
            error.to_string(),
            "see what `kubectl version` says; nothing else can be looked at before it answers",
        )),
    }
}

fn judge(version: &Value) -> Line {
    let name = version["gitVersion"].as_str().unwrap_or("no version");
    let number = |field: &str| -> Option<u32> {
        let text = version[field].as_str()?;
        // Some distributions write 33+.
        text.trim_end_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .ok()
    };
    match number("major").zip(number("minor")) {
        Some(found) if found >= OLDEST => Line::ok("API server", name),
        _ => Line::fail(
            "API server",
            format!("{name}; DLF needs {}.{} or newer", OLDEST.0, OLDEST.1),
            "upgrade Kubernetes",
        ),
    }
}

/// Whether both groups serve both kinds.
pub(super) async fn kinds(cluster: &Cluster) -> Vec<Line> {
    let mut lines = Vec::new();
    for group in ApiGroup::ALL {
        for plural in [Dataset::PLURAL, DatasetInternal::PLURAL] {
            lines.push(kind(cluster, group, plural).await);
        }
    }
    lines
}

async fn kind(cluster: &Cluster, group: ApiGroup, plural: &str) -> Line {
    let title = format!("CRD {plural}.{group}");
    let remedy = "the operator makes it when it starts; if it runs, its log says what hinders it";
    let name = format!("{plural}.{group}");
    match Looked::from(cluster.get(Kind::CRD, None, &name).await) {
        Looked::Seen(Some(crd)) if is_established(&crd) => Line::ok(title, "established"),
        Looked::Seen(Some(_)) => Line::fail(
            title,
            "exists and is not established",
            format!("kubectl describe crd {name}"),
        ),
        Looked::Seen(None) => Line::fail(title, "does not exist", remedy),
        // Whoever may not see CRDs may still see what is served.
        Looked::Forbidden => match cluster.read(&format!("/apis/{group}/{VERSION}")).await {
            Ok(served) if serves(&served, plural) => Line::ok(title, "served"),
            Ok(_) => Line::fail(title, "not served", remedy),
            Err(error) if error.is_forbidden() => Line::skipped(title, "not allowed to look"),
            Err(error) => Line::fail(title, format!("not served: {error}"), remedy),
        },
        Looked::Failed(reason) => unknown(title, &reason),
    }
}

fn is_established(crd: &Value) -> bool {
    let conditions = crd["status"]["conditions"].as_array();
    let established =
        |condition: &Value| condition["type"] == "Established" && condition["status"] == "True";
    conditions.into_iter().flatten().any(established)
}

fn serves(list: &Value, plural: &str) -> bool {
    let resources = list["resources"].as_array();
    let named = |resource: &Value| resource["name"] == plural;
    resources.into_iter().flatten().any(named)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn an_api_server_may_be_too_old() {
        for (minor, outcome) in [
            ("32", Outcome::Fail),
            ("33", Outcome::Ok),
            ("33+", Outcome::Ok),
            ("", Outcome::Fail),
        ] {
            let line = judge(&json!({ "major": "1", "minor": minor, "gitVersion": "v1" }));
            assert_eq!(line.outcome, outcome, "{minor}");
        }
    }

    #[test]
    fn a_kind_is_served_once_it_is_established() {
        let crd = |status: &str| json!({ "status": { "conditions": [{ "type": "Established", "status": status }] } });
        assert!(is_established(&crd("True")));
        assert!(!is_established(&crd("False")));
        let list = json!({ "resources": [{ "name": "datasets" }] });
        assert!(serves(&list, "datasets"));
        assert!(!serves(&list, "datasetsinternal"));
    }
}
