//! The program under test, plugins that cargo built as examples of this crate, and an operator to ask them.

#![allow(dead_code, reason = "each file of tests uses a part of it")]

pub(crate) mod operator;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use dlf_core::plugin::{CachingPlan, CachingPlugin, CachingRequest, PlanError};
use dlf_plugin_host::carrier::Remote;
use serde_json::json;

/// The program that runs plugins.
pub(crate) const HOST: &str = env!("CARGO_BIN_EXE_dlf-plugin-host");

/// A shared library that cargo built as an example of this crate.
pub(crate) fn example(name: &str) -> PathBuf {
    let built = Path::new(HOST).parent().unwrap();
    built.join(format!("examples/lib{name}.so"))
}

/// The plugin in C, by the system's compiler, with these macros.
pub(crate) fn from_c(name: &str, macros: &[&str]) -> PathBuf {
    let root = Path::new(".");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.so"));
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&library)
        .args(macros)
        .arg("-I")
        .arg(root.join("../abi/include"))
        .arg(root.join("tests/plugin.c"))
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    library
}

/// Has the plugin plan for this Dataset and do `what`.
pub(crate) async fn plan_for(
    plugin: &Remote,
    dataset: &str,
    what: &str,
) -> Result<CachingPlan, PlanError> {
    let request: CachingRequest = serde_json::from_value(json!({
        "dataset": { "namespace": "team-a", "name": dataset, "uid": dataset, "labels": {} },
        "source": {
            "endpoint": "http://s3", "bucket": "books", "prefix": "", "region": "",
            "keys": { "from": "anonymous" }, "caSecret": null,
            "readonly": false, "provision": false, "removeOnDelete": false,
        },
        "decision": { "capacityBytes": 1, "replicas": 1, "medium": "Disk", "revalidateMs": null },
        "place": { "namespace": "dlf-caches", "name": "c-u", "labels": {} },
        "intent": "exist",
        "observed": { "objects": [] },
        "config": { "do": what },
    }))
    .unwrap();
    CachingPlugin::plan(plugin, &request).await
}

/// The same for a Dataset that was never planned before.
pub(crate) async fn plan(plugin: &Remote, what: &str) -> Result<CachingPlan, PlanError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let dataset = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    plan_for(plugin, &dataset, what).await
}
