use serde_json::Value;

use super::{Check, unknown};
use crate::{
    cluster::Cluster,
    plugin::{
        list::{self, ListError},
        pods,
    },
};

const TITLE: &str = "Plugins";

/// Whether the operator's plugins answer it.
pub(super) async fn answers(cluster: &Cluster, namespace: &str) -> Check {
    match list::ask(cluster, namespace).await {
        Ok(mut plugins) => {
            pods::look(cluster, namespace, &mut plugins).await;
            judge(&plugins)
        }
        Err(ListError::Request(error)) => unknown(TITLE, &error.to_string()),
        Err(ListError::Forbidden { .. }) => Check::skipped(TITLE, "not allowed to look"),
        // The operator's own check says already what is wrong.
        Err(error) => Check::skipped(TITLE, error.to_string()),
    }
}

fn judge(plugins: &Value) -> Check {
    let plugins: Vec<&Value> = plugins.as_array().into_iter().flatten().collect();
    let failing: Vec<String> = plugins
        .iter()
        .filter(|plugin| plugin["state"] == "failing")
        .map(|plugin| {
            let name = plugin["name"].as_str().unwrap_or_default();
            let error = pods::error(plugin).unwrap_or_else(|| "does not answer".to_owned());
            format!("{name}: {error}")
        })
        .collect();
    if failing.is_empty() {
        let unknown = plugins.iter().filter(|plugin| plugin["state"] == "unknown");
        let found = match unknown.count() {
            0 => format!("{} ready", plugins.len()),
            unknown => format!("{} ready, {unknown} not asked yet", plugins.len() - unknown),
        };
        return Check::ok(TITLE, found);
    }
    Check::fail(
        TITLE,
        failing.join("; "),
        "`kubectl dlf plugin list -o wide` says where they are; their Datasets keep what they have",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn a_plugin_that_fails_is_named_with_what_it_did() {
        let plugin = |name: &str, state: &str, error: Option<&str>| json!({ "name": name, "state": state, "error": error });
        let good = [
            plugin("s3fs", "ready", None),
            plugin("acme", "unknown", None),
        ];
        let check = judge(&json!(good));
        assert_eq!(
            (check.outcome, check.found.as_str()),
            (Outcome::Ok, "1 ready, 1 not asked yet")
        );
        let check = judge(&json!([plugin("acme", "failing", Some("PluginTimeout"))]));
        assert_eq!(
            (check.outcome, check.found.as_str()),
            (Outcome::Fail, "acme: PluginTimeout")
        );
    }
}
