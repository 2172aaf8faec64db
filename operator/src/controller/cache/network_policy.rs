//! Who may reach a cache, and what a cache may reach.

use dlf_core::{network::AddressRules, plugin::CachePlace};
use dlf_wire::dataset::v1::NetworkRules;
use serde_json::{Value, json};

use crate::controller::names::Identity;

/// Caches check no keys: who may read a dataset's bytes from one are the nodes' mounters, workers, which load it
/// and ask how it does, and the pods of the Dataset's own namespace, which may have its keys anyway.
///
/// A cache resolves what a Dataset names by itself, so that the rules of addresses stand here once more: it
/// reaches what a mount would, its own replicas, and the cluster's DNS.
pub(super) fn network_policy(
    place: &CachePlace,
    identity: &Identity,
    operator_namespace: &str,
    rules: &NetworkRules,
) -> Value {
    let namespace = |name: &str| json!({ "matchLabels": { "kubernetes.io/metadata.name": name } });
    let ours = |component: &str| {
        json!({
            "namespaceSelector": namespace(operator_namespace),
            "podSelector": { "matchLabels": {
                "app.kubernetes.io/name": "dlf",
                "app.kubernetes.io/component": component,
            }},
        })
    };
    let own = json!({ "podSelector": { "matchLabels": place.labels } });
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": { "name": place.name, "namespace": place.namespace },
        "spec": {
            "podSelector": { "matchLabels": place.labels },
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{ "from": [
                { "namespaceSelector": namespace(&identity.namespace) },
                ours("mounter"),
                ours("worker"),
                own,
            ]}],
            "egress": egress(rules),
        },
    })
}

fn egress(rules: &NetworkRules) -> Vec<Value> {
    let dns = ["UDP", "TCP"].map(|protocol| json!({ "protocol": protocol, "port": 53 }));
    let mut egress = vec![json!({ "ports": dns })];
    let NetworkRules {
        allow,
        deny,
        deny_sockets,
    } = rules;
    // Rules that cannot be read let nobody out: one of them might be the one that counts.
    if let Ok(rules) = AddressRules::parse(allow, deny, deny_sockets) {
        egress.extend(rules.egress());
    }
    egress
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dlf_core::api::ApiGroup;

    use super::*;

    #[test]
    fn a_cache_reaches_what_a_mount_may_reach_and_names() {
        let place = CachePlace {
            namespace: "dlf-caches".to_owned(),
            name: "cache-1".to_owned(),
            labels: BTreeMap::from([("dlf.dev/cache".to_owned(), "cache-1".to_owned())]),
            key_secret: None,
        };
        let identity = Identity {
            group: ApiGroup::Hpsys,
            namespace: "ml".into(),
            name: "books".into(),
            uid: "u".into(),
        };
        let rules = NetworkRules {
            deny_sockets: vec!["10.0.0.1:6443".to_owned()],
            ..NetworkRules::default()
        };
        let policy = network_policy(&place, &identity, "dlf-system", &rules);
        let spec = &policy["spec"];
        assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
        let [dns, anywhere, api_server] = &spec["egress"].as_array().unwrap()[..] else {
            panic!("{spec}")
        };
        assert_eq!(dns["ports"][0]["port"], 53);
        let except = anywhere["to"][0]["ipBlock"]["except"].to_string();
        assert!(
            except.contains("169.254.0.0/16") && except.contains("10.0.0.1/32"),
            "{except}"
        );
        assert_eq!(api_server["ports"][0]["endPort"], 6442);
        let unreadable = NetworkRules {
            deny: vec!["everything".to_owned()],
            ..NetworkRules::default()
        };
        assert_eq!(egress(&unreadable).len(), 1, "DNS alone");
    }
}
