//! What policies of the network select. Nothing enforces them here: a selector that selects nobody protects
//! nobody, and one that lets nobody in closes the door to those it is for.

use dlf_tests::{Bucket, Namespace, list, nothing_is_left};
use serde_json::Value;

use crate::installed::{cached, name_in, name_of, served, with_plugins};

/// A label selector as kubectl takes it.
fn selector(of: &Value) -> String {
    let labels = of["matchLabels"].as_object().into_iter().flatten();
    let equal = labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    let expressions = of["matchExpressions"].as_array().into_iter().flatten();
    let within = expressions.map(|one| {
        assert_eq!(one["operator"], "In", "{one}");
        let values = one["values"].as_array().into_iter().flatten();
        let values: Vec<_> = values.filter_map(Value::as_str).collect();
        let key = one["key"].as_str().unwrap_or_default();
        format!("{key} in ({})", values.join(","))
    });
    equal.chain(within).collect::<Vec<_>>().join(",")
}

/// The namespaces that a peer names: its policy's own without a selector.
fn namespaces(peer: &Value, own: &str) -> Vec<String> {
    let Some(of) = peer.get("namespaceSelector") else {
        return vec![own.to_owned()];
    };
    let found = list("namespaces", "", &selector(of));
    found.iter().map(name_in).collect()
}

/// Whether a peer is somebody.
fn is_there(peer: &Value, own: &str) -> bool {
    let Some(pods) = peer.get("podSelector") else {
        return peer.get("ipBlock").is_some() || !namespaces(peer, own).is_empty();
    };
    let pods = selector(pods);
    let mut namespaces = namespaces(peer, own).into_iter();
    namespaces.any(|namespace| !list("pods", &namespace, &pods).is_empty())
}

fn has_port(pod: &Value, name: &str) -> bool {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers.flat_map(|one| one["ports"].as_array().into_iter().flatten());
    ports.any(|port| port["name"] == name)
}

fn check(policy: &Value) {
    let own = policy["metadata"]["namespace"].as_str().unwrap_or_default();
    let name = &policy["metadata"]["name"];
    let pods = list("pods", own, &selector(&policy["spec"]["podSelector"]));
    assert!(!pods.is_empty(), "{name} is for no pod");
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in policy["spec"][direction].as_array().into_iter().flatten() {
            for peer in rule[peers].as_array().into_iter().flatten() {
                assert!(is_there(peer, own), "{name}: nobody is {peer}");
            }
            for port in rule["ports"].as_array().into_iter().flatten() {
                let named = port["port"].as_str();
                let known = |named| pods.iter().any(|pod| has_port(pod, named));
                assert!(named.is_none_or(known), "{name}: no pod has port {port}");
            }
        }
    }
}

#[test]
fn every_network_policy_is_for_pods_that_there_are_and_lets_in_some_that_there_are() {
    if !with_plugins() {
        return;
    }
    // A cache that goes may still have its policy and no pod any more.
    nothing_is_left();
    let bucket = Bucket::new("policies");
    let namespace = Namespace::new("policies");
    let _ = namespace
        .apply(&cached("books", &bucket.name, "nginx"))
        .expect_ok();
    let cache = name_of(&served(&namespace, "books"));
    let all = list("networkpolicies", "", "");
    let names: Vec<_> = all.iter().map(name_in).collect();
    for expected in ["dlf-operator", "dlf-data", "dlf-plugin-nginx", &cache] {
        assert!(
            names.iter().any(|name| name == expected),
            "{expected}: {names:?}"
        );
    }
    all.iter().for_each(check);
}
