//! Commands that ask a cluster, where there is none: what a mistake says, and that nothing hangs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    process::{Command, Output},
};

/// A kubeconfig whose API server refuses connections: nobody listens at port 1.
const REFUSING: &str = "\
apiVersion: v1
kind: Config
current-context: refusing
clusters: [{name: c, cluster: {server: \"http://127.0.0.1:1\"}}]
users: [{name: u, user: {}}]
contexts: [{name: refusing, context: {cluster: c, user: u, namespace: books}}]
";

/// A Dataset that can be cached.
const DATASET: &str = "\
apiVersion: datashim.io/v1alpha1
kind: Dataset
metadata: {name: books}
spec: {local: {type: COS, endpoint: \"http://s3:9000\", bucket: books}}
";

fn run(kubeconfig: &str, arguments: &[&str]) -> (i32, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_kubectl-dlf"))
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env_remove("KUBERNETES_SERVICE_HOST")
        .output()
        .unwrap();
    let said = [stdout, stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (status.code().unwrap(), said)
}

#[test]
fn a_cluster_that_is_not_there_is_named_with_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    fs::write(&file, REFUSING).unwrap();
    let refusing = file.to_str().unwrap();
    let dataset = directory.path().join("dataset.yaml");
    fs::write(&dataset, DATASET).unwrap();
    let dataset = dataset.to_str().unwrap();
    for (kubeconfig, arguments, expected) in [
        (refusing, vec!["get"], "cannot be reached"),
        (refusing, vec!["explain", "books"], "cannot be reached"),
        (refusing, vec!["doctor"], "FAIL  API server"),
        (refusing, vec!["plugin", "list"], "cannot be reached"),
        (
            refusing,
            vec!["plugin", "check", "--cluster", "acme", "-f", dataset],
            "cannot be reached",
        ),
        (refusing, vec!["get", "--context", "other"], "refusing"),
        ("/nowhere", vec!["get"], "/nowhere"),
        (
            refusing,
            vec!["get", "--kubeconfig", "/elsewhere"],
            "/elsewhere",
        ),
    ] {
        let (code, said) = run(kubeconfig, &arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert_eq!(code, 1, "{arguments:?}: {said}");
    }
}

#[test]
fn a_mistake_in_the_command_line_is_told_from_a_failure() {
    for (arguments, expected) in [
        (vec!["get", "../nodes"], "lower-case letters"),
        (vec!["get", "-n", "Books"], "lower-case letters"),
        (vec!["get", "books", "-A"], "cannot be used with"),
        (vec!["get", "-o", "xml"], "wide, json, yaml"),
        (vec!["explain"], "<NAME>"),
        (vec!["explain", "books", "--group", "apps"], "datashim.io"),
        (vec!["get", "--as-group", "g"], "--as"),
        (vec!["plugin", "check", "--cluster", "acme"], "--filename"),
        (vec!["plugin", "check", "acme.so", "--keep"], "--cluster"),
        (
            vec!["plugin", "check", "--cluster", "acme", "--timeout", "9"],
            "90s",
        ),
        (
            vec!["plugin", "plan", "x", "-f", "y", "--diff", "-o", "json"],
            "cannot be used with",
        ),
    ] {
        let (code, said) = run("/nowhere", &arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert_eq!(code, 2, "{arguments:?}: {said}");
    }
}

#[test]
fn a_shell_completes_every_command() {
    let (code, script) = run("/nowhere", &["completion", "zsh"]);
    assert_eq!(code, 0);
    for word in ["explain", "doctor", "all-namespaces", "cache-namespace"] {
        assert!(script.contains(word), "{word}");
    }
}
