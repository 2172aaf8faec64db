//! Whether the operator has the plugin.

use std::error::Error;

use serde_json::Value;

use super::super::list::{self, ListError};
use crate::cluster::Cluster;

/// The plugin as the operator knows it; an error with those it knows where it knows none of this name.
pub(super) async fn known(
    cluster: &Cluster,
    plugin: &str,
    namespace: &str,
) -> Result<String, Box<dyn Error>> {
    match list::ask(cluster, namespace).await {
        Ok(plugins) => Ok(found(&plugins, plugin)?),
        // Who may not look, or an operator that does not tell: the Dataset's condition does.
        Err(
            error @ (ListError::Forbidden { .. }
            | ListError::Older(_)
            | ListError::Unreachable { .. }),
        ) => {
            eprintln!("whether there is a plugin {plugin} is not known yet: {error}");
            Ok(plugin.to_owned())
        }
        Err(error) => Err(error.into()),
    }
}

fn found(plugins: &Value, plugin: &str) -> Result<String, String> {
    let plugins = || plugins.as_array().into_iter().flatten();
    let caching =
        || plugins().filter(|one| one["kind"] != "storage" && one["carrier"] != "external");
    let names: Vec<&str> = caching().filter_map(|one| one["name"].as_str()).collect();
    let others = match names.as_slice() {
        [] => "the operator has no caching plugins; docs/plugin-guide.md says how one is installed"
            .to_owned(),
        names => format!("its caching plugins are {}", names.join(", ")),
    };
    let Some(one) = plugins().find(|one| one["name"] == plugin) else {
        return Err(format!("the operator has no plugin {plugin}; {others}"));
    };
    if one["carrier"] == "external" {
        return Err(format!(
            "plugin {plugin} is a controller of its own, which plans no caches that could be checked; {others}"
        ));
    }
    match one["kind"].as_str() {
        Some("storage") => Err(format!(
            "plugin {plugin} is of kind storage, and this checks caches; {others}"
        )),
        kind => {
            let version = one["version"].as_str().map(|version| format!(" {version}"));
            Ok(format!(
                "{plugin}{} ({})",
                version.unwrap_or_default(),
                kind.unwrap_or("caching")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plugin_that_is_not_there_leads_to_those_that_are() {
        let plugins = json!([
            { "name": "nginx", "kind": "caching", "version": "1", "carrier": "isolated" },
            { "name": "away", "kind": null, "version": null, "carrier": "isolated" },
            { "name": "s3fs", "kind": "storage", "version": "1", "carrier": "builtin" },
            { "name": "third", "kind": null, "carrier": "external" },
        ]);
        assert_eq!(found(&plugins, "nginx").unwrap(), "nginx 1 (caching)");
        assert_eq!(found(&plugins, "away").unwrap(), "away (caching)");
        for (name, said) in [
            ("acme", "no plugin acme"),
            ("s3fs", "kind storage"),
            ("third", "controller"),
        ] {
            let error = found(&plugins, name).unwrap_err();
            assert!(error.contains(said), "{error}");
            assert!(
                error.ends_with("its caching plugins are nginx, away"),
                "{error}"
            );
        }
        assert!(
            found(&json!([]), "acme")
                .unwrap_err()
                .contains("no caching plugins")
        );
    }
}
