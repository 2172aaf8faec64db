//! Another version of a plugin.

use std::fs;

use dlf_tests::{Bucket, Namespace, contains, eventually, find, kubectl};

use crate::installed::{CACHED_WITHIN, CACHES, cached, name_of, served, with_plugins};

const SCRIPT: &str = "../examples/plugin-python/plugin.py";

/// The plugin `varnish` in another version, until this is dropped.
struct Upgraded;

impl Upgraded {
    fn to(script: &str) -> Self {
        let upgraded = Self;
        install(script);
        upgraded
    }
}

impl Drop for Upgraded {
    fn drop(&mut self) {
        install(&fs::read_to_string(SCRIPT).unwrap());
    }
}

fn install(script: &str) {
    let patch = serde_json::json!({ "data": { "plugin.py": script } }).to_string();
    let deployment = "deployment/dlf-plugin-varnish";
    for command in [
        &[
            "patch",
            "configmap",
            "varnish-plugin",
            "--type=merge",
            "-p",
            &patch,
        ][..],
        &["rollout", "restart", deployment],
        &["rollout", "status", deployment],
    ] {
        let _ = kubectl(&[&["-n", "dlf-system"], command].concat()).expect_ok();
    }
}

#[test]
fn another_version_of_a_plugin_plans_for_the_caches_that_are_there() {
    if !with_plugins() {
        return;
    }
    let (bucket, namespace) = (Bucket::new("upgraded"), Namespace::new("upgraded"));
    let _ = namespace
        .apply(&cached("books", &bucket.name, "varnish"))
        .expect_ok();
    let cache = name_of(&served(&namespace, "books"));
    let planned = || {
        let deployment = find("deployment", CACHES, &cache).unwrap();
        deployment["spec"]["template"]["metadata"]["annotations"].to_string()
    };
    contains(&planned(), "example.com/files").unwrap();

    let first = fs::read_to_string(SCRIPT).unwrap();
    let second = first
        .replace("\"version\": \"0.1.0\"", "\"version\": \"0.2.0\"")
        .replace("example.com/files", "example.com/of-0.2.0");
    assert_ne!(second, first);
    let _upgraded = Upgraded::to(&second);
    eventually(
        "the cache to be as the new version plans it",
        CACHED_WITHIN,
        || contains(&planned(), "example.com/of-0.2.0"),
    );
    let _ = served(&namespace, "books");
}
