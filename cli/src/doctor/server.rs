use dlf_core::api::{ApiGroup, Dataset, DatasetInternal, VERSION};
use serde_json::Value;

use super::{Check, report::Outcome, unknown};
use crate::cluster::{Cluster, Kind, Looked};

/// The oldest Kubernetes that DLF supports, as its chart says.
const OLDEST: (u32, u32) = (1, 33);

/// Whether the API server is new enough; an error where it does not answer at all.
pub(super) async fn version(cluster: &Cluster) -> Result<Check, Check> {
    match cluster.read("/version").await {
        Ok(version) => Ok(judge(&version)),
        Err(error) if error.is_forbidden() => Ok(Check::skipped(
            "API server",
            "not allowed to ask for its version",
        )),
        Err(error) => Err(Check::fail(
            "API server",
            error.to_string(),
            "see what `kubectl version` says; nothing else can be looked at before it answers",
        )),
    }
}

fn judge(version: &Value) -> Check {
    let name = version["gitVersion"].as_str().unwrap_or("no version");
    let number = |field: &str| -> Option<u32> {
        let text = version[field].as_str()?;
        // Some distributions write 33+.
        text.trim_end_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .ok()
    };
    match number("major").zip(number("minor")) {
        Some(found) if found >= OLDEST => Check::ok("API server", name),
        _ => Check::fail(
            "API server",
            format!("{name}; DLF needs {}.{} or newer", OLDEST.0, OLDEST.1),
            "upgrade Kubernetes",
        ),
    }
}

/// Whether each group that is served has both kinds.
pub(super) async fn kinds(cluster: &Cluster) -> Vec<Check> {
    let mut groups = Vec::new();
    for group in ApiGroup::ALL {
        let mut checks = Vec::new();
        for plural in [Dataset::PLURAL, DatasetInternal::PLURAL] {
            checks.push(kind(cluster, group, plural).await);
        }
        groups.push((group, checks));
    }
    without_unserved(groups)
}

/// A group of which nothing is there beside one that is whole was left out by the chart's `apiGroups`. An
/// operator that could not make it would not be ready, which is another check's to say.
fn without_unserved(groups: Vec<(ApiGroup, Vec<Check>)>) -> Vec<Check> {
    let all = |checks: &[Check], outcome| checks.iter().all(|check| check.outcome == outcome);
    let one_is_whole = groups.iter().any(|(_, checks)| all(checks, Outcome::Ok));
    let of_group = |(group, checks): (ApiGroup, Vec<Check>)| {
        if one_is_whole && all(&checks, Outcome::Fail) {
            let why = "not served: the chart's value apiGroups may leave it out";
            vec![Check::skipped(format!("API group {group}"), why)]
        } else {
            checks
        }
    };
    groups.into_iter().flat_map(of_group).collect()
}

async fn kind(cluster: &Cluster, group: ApiGroup, plural: &str) -> Check {
    let title = format!("CRD {plural}.{group}");
    let remedy = "the operator makes it when it starts; if it runs, its log says what hinders it";
    let name = format!("{plural}.{group}");
    match Looked::from(cluster.get(Kind::CRD, None, &name).await) {
        Looked::Seen(Some(crd)) if is_established(&crd) => Check::ok(title, "established"),
        Looked::Seen(Some(_)) => Check::fail(
            title,
            "exists and is not established",
            format!("kubectl describe crd {name}"),
        ),
        Looked::Seen(None) => Check::fail(title, "does not exist", remedy),
        // Whoever may not see CRDs may still see what is served.
        Looked::Forbidden => match cluster.read(&format!("/apis/{group}/{VERSION}")).await {
            Ok(served) if serves(&served, plural) => Check::ok(title, "served"),
            Ok(_) => Check::fail(title, "not served", remedy),
            Err(error) if error.is_forbidden() => Check::skipped(title, "not allowed to look"),
            Err(error) => Check::fail(title, format!("not served: {error}"), remedy),
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

    #[test]
    fn an_api_server_may_be_too_old() {
        for (minor, outcome) in [
            ("32", Outcome::Fail),
            ("33", Outcome::Ok),
            ("33+", Outcome::Ok),
            ("", Outcome::Fail),
        ] {
            let check = judge(&json!({ "major": "1", "minor": minor, "gitVersion": "v1" }));
            assert_eq!(check.outcome, outcome, "{minor}");
        }
    }

    #[test]
    fn a_group_that_is_left_out_is_no_failure_and_one_that_is_half_there_is() {
        let whole = || vec![Check::ok("a", "established"), Check::ok("b", "established")];
        let failed = || Check::fail("a", "does not exist", "wait");
        let outcomes = |first, second| -> Vec<Outcome> {
            let groups = vec![(ApiGroup::Hpsys, first), (ApiGroup::Datashim, second)];
            let checks = without_unserved(groups).into_iter();
            checks.map(|check| check.outcome).collect()
        };
        assert_eq!(
            outcomes(vec![failed(), failed()], whole()),
            [Outcome::Skipped, Outcome::Ok, Outcome::Ok]
        );
        let half = vec![Check::ok("a", "established"), failed()];
        assert_eq!(
            outcomes(half, whole()),
            [Outcome::Ok, Outcome::Fail, Outcome::Ok, Outcome::Ok]
        );
        let none = vec![failed(), failed()];
        assert_eq!(outcomes(none, vec![failed()]), [Outcome::Fail; 3]);
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
