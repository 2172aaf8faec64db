//! `kubectl dlf plugin` as an author uses it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

fn python() -> PathBuf {
    PathBuf::from("../examples/plugin-python/plugin.py")
}

/// Whether the plugin in Python can run here.
fn has_python(test: &str) -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok();
    if !found {
        println!("SKIPPED {test}: python3 is not installed");
    }
    found
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-dlf"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A Dataset in a file, with these lines of `spec`.
fn dataset(directory: &Path, spec: &str) -> String {
    let file = directory.join("dataset.yaml");
    let head =
        "apiVersion: com.ie.ibm.hpsys/v1alpha1\nkind: Dataset\nmetadata: {name: books}\nspec:\n";
    fs::write(&file, format!("{head}{spec}")).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_plugin_in_python_passes_the_suite_and_says_who_it_is() {
    if !has_python("a_plugin_in_python_passes_the_suite_and_says_who_it_is") {
        return;
    }
    let plugin = python();
    let plugin = plugin.to_str().unwrap();
    let checked = run(&["plugin", "check", plugin]);
    assert!(
        checked.status.success(),
        "{}{}",
        text(&checked.stdout),
        text(&checked.stderr)
    );
    assert!(text(&checked.stdout).contains("0 failed"));
    let inspected = run(&["plugin", "inspect", plugin, "-o", "json"]);
    let info: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!(info["name"], "varnish");
    assert!(text(&run(&["plugin", "inspect", plugin]).stdout).contains("Kind:      caching"));
}

#[test]
fn what_a_plugin_plans_is_shown_before_and_after_it_is_there() {
    if !has_python("what_a_plugin_plans_is_shown_before_and_after_it_is_there") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let plugin = python();
    let plugin = plugin.to_str().unwrap();
    let file = dataset(
        directory.path(),
        "  local: {type: COS, endpoint: \"http://s3:9000\", bucket: books, accessKeyID: id, secretAccessKey: never-shown}\n  cache: {capacity: 2Gi, replicas: 2}\n",
    );
    let plan = run(&["plugin", "plan", plugin, "-f", &file, "-o", "json"]);
    assert!(plan.status.success(), "{}", text(&plan.stderr));
    assert!(!text(&plan.stdout).contains("never-shown"));
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(plan["objects"][0]["spec"]["replicas"], 2);
    assert_eq!(plan["origins"], serde_json::json!([]));
    let ready = run(&[
        "plugin", "plan", plugin, "-f", &file, "-o", "json", "--ready",
    ]);
    let ready: Value = serde_json::from_slice(&ready.stdout).unwrap();
    assert_eq!(ready["condition"]["ready"], true);
    assert!(
        ready["origins"][0]["endpoint"]
            .as_str()
            .unwrap()
            .starts_with("http://cache-")
    );
}

#[test]
fn without_a_cluster_all_of_a_plan_is_new() {
    if !has_python("without_a_cluster_all_of_a_plan_is_new") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let plugin = python();
    let plugin = plugin.to_str().unwrap();
    let file = dataset(
        directory.path(),
        "  local: {type: COS, endpoint: \"http://s3:9000\", bucket: books}\n",
    );
    let diff = run(&[
        "plugin",
        "plan",
        plugin,
        "-f",
        &file,
        "--diff",
        "--kubeconfig",
        "/nowhere",
    ]);
    assert!(diff.status.success(), "{}", text(&diff.stderr));
    assert!(text(&diff.stderr).contains("there is no cluster"));
    let shown = text(&diff.stdout);
    assert!(shown.starts_with("--- /dev/null\n+++ planned "), "{shown}");
    let gone = |line: &str| line.starts_with('-') && !line.starts_with("---");
    assert!(!shown.lines().any(gone), "{shown}");
}

#[test]
fn a_section_that_does_not_fit_is_named_before_anything_is_planned() {
    if !has_python("a_section_that_does_not_fit_is_named_before_anything_is_planned") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let plugin = python();
    let plugin = plugin.to_str().unwrap();
    let file = dataset(
        directory.path(),
        "  local: {type: COS, endpoint: \"http://s3:9000\", bucket: books}\n",
    );
    let section = directory.path().join("section.yaml");
    fs::write(&section, "image: docker.io/library/varnish:8\n").unwrap();
    let section = section.to_str().unwrap();
    let plan = run(&["plugin", "plan", plugin, "-f", &file, "--config", section]);
    assert!(
        text(&plan.stdout).contains("varnish:8"),
        "{}",
        text(&plan.stderr)
    );
    let checked = run(&["plugin", "check", plugin, "--config", section]);
    assert!(checked.status.success(), "{}", text(&checked.stdout));
    let wrong = "{\"image\": 42}";
    let plan = run(&["plugin", "plan", plugin, "-f", &file, "--config", wrong]);
    let said = text(&plan.stderr);
    assert!(said.contains("config.image: found 42"), "{said}");
    let checked = run(&["plugin", "check", plugin, "--config", wrong]);
    let said = text(&checked.stdout);
    assert!(
        said.contains("FAILED  its configuration fits its schema"),
        "{said}"
    );
    assert_eq!(checked.status.code(), Some(1));
}

#[test]
fn a_mistake_is_named_with_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let broken = dataset(directory.path(), "  local: {type: COS, bucket: books}\n");
    let shell = "/bin/sh";
    for (arguments, expected, code) in [
        (
            vec!["plugin", "check", "/nowhere/libx.so"],
            "/nowhere/libx.so",
            1,
        ),
        (
            vec!["plugin", "plan", shell, "-f", &broken],
            "spec.local.endpoint",
            1,
        ),
        (
            vec!["plugin", "plan", shell, "-f", "/nowhere.yaml"],
            "/nowhere.yaml",
            1,
        ),
        (
            vec!["plugin", "inspect", shell, "--", "-c", "exit 3"],
            "exit status: 3",
            1,
        ),
        (
            vec!["plugin", "inspect", "x.so", "-o", "xml"],
            "json, yaml",
            2,
        ),
        (
            vec!["plugin", "check", shell, "--config", "/nowhere.yaml"],
            "--config: /nowhere.yaml",
            1,
        ),
        (
            vec![
                "plugin",
                "check",
                "--cluster",
                "--config",
                "{}",
                "-f",
                "x",
                "acme",
            ],
            "--cluster",
            2,
        ),
    ] {
        let output = run(&arguments);
        let said = text(&output.stderr) + &text(&output.stdout);
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_shell_completes_it() {
    let script = run(&["completion", "bash"]);
    assert!(text(&script.stdout).contains("inspect"));
}
