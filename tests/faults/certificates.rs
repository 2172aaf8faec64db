//! The certificate authority rotates while pods are admitted and nodes come back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dlf_tests::{Node, Reader, await_object, eventually, find, is_long, on_our_own_cluster};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::{
    load::Load,
    ours::{SYSTEM, is_up, leader, ours},
};

/// A kubelet brings what it mounted of the API server up to date about once a minute, if nobody asks it to do
/// so sooner.
const MOUNTED_WITHIN: Duration = Duration::from_mins(3);
const STEP_WITHIN: Duration = Duration::from_secs(30);
const DAY: u64 = 24 * 3600;

/// Where the operator keeps its authority.
const SECRET: (&str, &str, &str) = ("secret", SYSTEM, "dlf-ca");

fn keyring() -> Value {
    let (kind, namespace, name) = SECRET;
    keyring_of(&find(kind, namespace, name).unwrap())
}

fn keyring_of(secret: &Value) -> Value {
    let data = serde_json::from_value(secret["data"]["keyring"].clone());
    let ByteString(json) = data.unwrap_or_else(|error| panic!("keyring of dlf-ca: {error}"));
    serde_json::from_slice(&json).unwrap_or_else(|error| panic!("keyring of dlf-ca: {error}"))
}

/// Writes what a clock would have made of the keyring.
fn age(change: impl FnOnce(&mut Value)) {
    let mut keyring = keyring();
    change(&mut keyring);
    let patch = json!({ "stringData": { "keyring": keyring.to_string() } }).to_string();
    let _ = ours(&["patch", "secret", "dlf-ca", "--type=merge", "-p", &patch]);
}

fn in_days(days: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() + days * DAY
}

/// The overlap of two authorities is over.
fn overlap_is_over() {
    age(|keyring| keyring["changed"] = json!(in_days(0) - 15 * DAY));
}

fn wait(what: &str, is_so: impl Fn(&Value) -> bool) {
    await_object(what, STEP_WITHIN, SECRET, |secret| {
        let keyring = keyring_of(secret.ok_or("there is no Secret")?);
        if is_so(&keyring) {
            Ok(())
        } else {
            let part = |name: &str| !keyring[name].is_null();
            Err(format!(
                "next: {}, previous: {}",
                part("next"),
                part("previous")
            ))
        }
    });
}

/// Waits until every pod of ours that dials the operator trusts so many authorities.
fn mounted(count: usize) {
    eventually("the bundle in all pods", MOUNTED_WITHIN, || {
        let counted: Vec<String> = Node::all()
            .iter()
            .flat_map(|node| {
                let bundles = "/var/lib/kubelet/pods/*/volumes/kubernetes.io~configmap/ca/ca.crt";
                let counts = node.sh(&format!("grep -c BEGIN {bundles}"));
                counts.text.lines().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        let is_so = |line: &String| line.ends_with(&format!(":{count}"));
        if counted.len() >= 2 && counted.iter().all(is_so) {
            Ok(())
        } else {
            Err(counted.join(", "))
        }
    });
}

/// Rotations, one after the other: the second begins with an authority that was the next one before.
const LONG: usize = 2;
/// None is left out of a whole one: each step is about what the one before left.
const SHORT: usize = 1;

#[test]
fn a_rotation_of_the_authority_under_load_refuses_no_pod_and_loses_no_node() {
    if !on_our_own_cluster("it looks into the nodes' directories") {
        return;
    }
    let reader = Reader::start("rotation");
    let load = Load::begin(&reader.namespace.name);
    let rotations = if is_long() { LONG } else { SHORT };
    for _ in 0..rotations {
        rotate(&reader, &load);
    }
    let answers = load.end();
    println!("{} pods were admitted meanwhile", answers.admitted);
    assert!(answers.refused.is_empty(), "{:?}", answers.refused);
    another_reads(&reader);
    reader.goes_on();
    assert_eq!(reader.errors(), "");
}

/// A whole rotation, with what pods and nodes meet in the middle of it.
fn rotate(reader: &Reader, load: &Load) {
    let before = keyring()["active"]["certPem"].clone();
    age(|keyring| keyring["active"]["notAfter"] = json!(in_days(100)));
    wait("a next authority", |keyring| !keyring["next"].is_null());
    mounted(2);
    overlap_is_over();
    wait("the next authority to sign", |keyring| {
        keyring["active"]["certPem"] != before && !keyring["previous"].is_null()
    });
    load.goes_on();
    // Everyone dials anew, and is shown certificates of the new authority.
    let _ = ours(&["delete", "pod", &leader(), "--wait=false"]);
    is_up("deployment/dlf-operator");
    another_reads(reader);
    overlap_is_over();
    wait("the old authority to go", |keyring| {
        keyring["previous"].is_null()
    });
    mounted(1);
    load.goes_on();
}

fn another_reads(reader: &Reader) {
    let again = ["delete", "pod", "another", "--ignore-not-found"];
    let _ = reader.namespace.kubectl(&again).expect_ok();
    reader.another_reads();
}
