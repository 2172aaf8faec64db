//! The index has two sides, datasets and nodes: they agree after any steps.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Publish(u8),
    Refuse(u8),
    Withdraw(u8),
    Attach(u8, Vec<u8>),
    Grant(u8, u8),
    Release(u8, u8),
    Report(u8, u8, bool),
    Forget(u8),
    Drain(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let (node, dataset) = (|| 0..3_u8, || 0..4_u8);
    prop_oneof![
        dataset().prop_map(Step::Publish),
        dataset().prop_map(Step::Refuse),
        dataset().prop_map(Step::Withdraw),
        (node(), prop::collection::vec(dataset(), 0..4)).prop_map(|(n, d)| Step::Attach(n, d)),
        (node(), dataset()).prop_map(|(n, d)| Step::Grant(n, d)),
        (node(), dataset()).prop_map(|(n, d)| Step::Release(n, d)),
        (node(), dataset(), any::<bool>()).prop_map(|(n, d, used)| Step::Report(n, d, used)),
        node().prop_map(Step::Forget),
        node().prop_map(Step::Drain),
    ]
}

/// Does one step; a drained node is vetted whatever it says.
fn apply(registry: &mut Registry, peers: &mut [Option<Peer>; 3], step: Step, count: usize) {
    let handle = |dataset: u8| format!("d{dataset}");
    let peer = |peers: &[Option<Peer>; 3], node: u8| peers[usize::from(node)].clone();
    match step {
        Step::Publish(d) => registry.publish(config(&handle(d), &count.to_string()), NOW_MS),
        Step::Refuse(d) => registry.refuse(&handle(d), failure("Why")),
        Step::Withdraw(d) => registry.withdraw(&handle(d)),
        Step::Attach(n, d) => {
            let held = d.into_iter().map(|d| held(&handle(d), 3, &["p"])).collect();
            peers[usize::from(n)] = Some(registry.attach(&n.to_string(), held, vec![], NOW_MS));
        }
        Step::Forget(n) => {
            registry.forget_node(&n.to_string());
            peers[usize::from(n)] = None;
        }
        Step::Grant(n, d) => {
            if let Some(peer) = peer(peers, n) {
                registry.grant(&peer, 1, &handle(d), Share::default());
            }
        }
        Step::Release(n, d) => {
            if let Some(peer) = peer(peers, n) {
                registry.released(&peer, &handle(d));
            }
        }
        Step::Report(n, d, used) => {
            if let Some(peer) = peer(peers, n) {
                let pods: &[&str] = if used { &["p"] } else { &[] };
                registry.report(&peer, usage(&handle(d), 1, 1, pods), NOW_MS);
            }
        }
        Step::Drain(n) => {
            if let Some(peer) = peer(peers, n) {
                while let Some(outgoing) = registry.next(&peer) {
                    if let Outgoing::Vet { config, .. } = outgoing {
                        registry.clear(&peer, &config.volume_handle);
                    }
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn both_sides_of_the_index_agree_whatever_happens(
        steps in prop::collection::vec(step(), 0..200)
    ) {
        let mut registry = Registry::default();
        let mut peers = [None, None, None];
        for (count, step) in steps.into_iter().enumerate() {
            apply(&mut registry, &mut peers, step, count);
            for (handle, dataset) in &registry.datasets {
                prop_assert!(!dataset.is_unused(), "{handle} was left behind");
                for (node, link) in &dataset.links {
                    let node = &registry.nodes[node];
                    prop_assert!(node.handles.contains(handle));
                    let published = dataset.config.is_some() && link.cleared;
                    let outdated = published && link.sent < dataset.version();
                    let told = node.outbox.datasets.contains(handle);
                    prop_assert!(!outdated || told, "{handle}: nothing will tell");
                }
            }
            for (name, node) in &registry.nodes {
                for handle in &node.handles {
                    prop_assert!(registry.datasets[handle].links.contains_key(name));
                }
            }
        }
        // When all have taken what there is for them, each has the newest of what it uses.
        for node in 0..3 {
            apply(&mut registry, &mut peers, Step::Drain(node), 0);
        }
        for dataset in registry.datasets.values().filter(|dataset| dataset.config.is_some()) {
            prop_assert!(dataset.links.values().all(|link| link.sent >= dataset.version()));
        }
    }
}
