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
    let (failing, others): (Vec<&Value>, Vec<&Value>) = plugins
        .iter()
        .partition(|plugin| plugin["state"] == "failing");
    if !failing.is_empty() {
        let wrong = |plugin: &&Value| {
            let error = pods::error(plugin).unwrap_or_else(|| "does not answer".to_owned());
            named(plugin, &error)
        };
        return Check::fail(
            TITLE,
            joined(failing.iter().map(wrong)),
            "`kubectl dlf plugin list -o wide` says where they are; their Datasets keep what they have",
        );
    }
    let over = others
        .iter()
        .filter_map(|plugin| Some(named(plugin, &pods::error(plugin)?)));
    let over = joined(over);
    if !over.is_empty() {
        return Check::warn(
            TITLE,
            over,
            "`kubectl dlf explain` of such a Dataset says what happened; others of the plugin are planned",
        );
    }
    let unknown = others.iter().filter(|plugin| plugin["state"] == "unknown");
    let found = match unknown.count() {
        0 => format!("{} ready", others.len()),
        unknown => format!("{} ready, {unknown} not asked yet", others.len() - unknown),
    };
    Check::ok(TITLE, found)
}

fn named(plugin: &Value, what: &str) -> String {
    let name = plugin["name"].as_str().unwrap_or_default();
    format!("{name}: {what}")
}

fn joined(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join("; ")
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
        let mut hangs = plugin("acme", "ready", None);
        hangs["failedOver"] =
            json!([{ "dataset": "team-a/books", "reason": "PluginTimeout", "times": 3 }]);
        let check = judge(&json!([hangs]));
        assert_eq!(
            (check.outcome, check.found.as_str()),
            (Outcome::Warn, "acme: hung on team-a/books, 3 times")
        );
    }
}
