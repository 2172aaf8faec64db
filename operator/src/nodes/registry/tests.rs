use dlf_wire::nodes::v1::{
    Applied, DatasetUsage, Grant, Held, MounterState, NodeWelcome, PodRef, Refusal, Report, to_node,
};

use super::*;

mod index;
mod losses;
mod usage;

const NOW_MS: u64 = 1_000_000;

fn config(handle: &str, revision: &str) -> DatasetConfig {
    DatasetConfig {
        volume_handle: handle.into(),
        source_revision: revision.into(),
        namespace: "ns".into(),
        name: "test".into(),
        ..DatasetConfig::default()
    }
}

fn failure(reason: &str) -> Failure {
    Failure::new(reason, "a sentence")
}

fn pod(name: &str) -> PodRef {
    PodRef {
        namespace: "ns".into(),
        name: name.into(),
        uid: format!("uid-{name}"),
    }
}

fn held(handle: &str, version: u64, pods: &[&str]) -> Held {
    let pods = pods.iter().map(|name| pod(name)).collect();
    Held {
        volume_handle: handle.into(),
        version,
        pods,
    }
}

fn usage(handle: &str, epoch: u64, bytes_read: u64, pods: &[&str]) -> Report {
    let pods = pods.iter().map(|name| pod(name)).collect();
    let usage = DatasetUsage {
        volume_handle: handle.into(),
        epoch,
        bytes_read,
        pods,
        ..DatasetUsage::default()
    };
    Report {
        usage: vec![usage],
        mounters: vec![],
    }
}

/// Attaches a node that holds nothing and takes its welcome.
fn attached(registry: &mut Registry, node: &str) -> Peer {
    let peer = registry.attach(node, vec![], vec![], NOW_MS);
    assert!(matches!(
        message(registry, &peer),
        Some(to_node::Message::Welcome(_))
    ));
    registry.take_effects();
    peer
}

fn message(registry: &mut Registry, peer: &Peer) -> Option<to_node::Message> {
    match registry.next(peer)? {
        Outgoing::Message(message) => Some(*message),
        vet @ Outgoing::Vet { .. } => panic!("{vet:?}"),
    }
}

fn version(registry: &Registry, handle: &str) -> u64 {
    registry.rollout(handle).version
}

/// Grants `handle` to a node and takes the grant's version.
fn granted(registry: &mut Registry, peer: &Peer, handle: &str) -> u64 {
    registry.grant(peer, 1, handle, Share::default());
    match message(registry, peer) {
        Some(to_node::Message::Grant(grant)) => grant.dataset.unwrap().version,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_version_moves_only_when_something_else_differs() {
    let mut registry = Registry::default();
    registry.publish(config("a", "1"), NOW_MS);
    assert_eq!(version(&registry, "a"), NOW_MS);
    assert_eq!(registry.take_effects().looked_up, ["a".into()]);
    registry.publish(config("a", "1"), NOW_MS + 5);
    assert_eq!(version(&registry, "a"), NOW_MS);
    assert_eq!(registry.take_effects(), Effects::default());
    // The clock stands still, or runs backwards.
    registry.publish(config("a", "2"), NOW_MS - 9);
    assert_eq!(version(&registry, "a"), NOW_MS + 1);
}

#[test]
fn an_update_reaches_the_nodes_that_are_subscribed_and_no_others() {
    let mut registry = Registry::default();
    let (user, other) = (
        attached(&mut registry, "user"),
        attached(&mut registry, "other"),
    );
    registry.publish(config("a", "1"), NOW_MS);
    assert_eq!(registry.take_effects().wake, Vec::<NodeName>::new());
    assert_eq!(granted(&mut registry, &user, "a"), NOW_MS);
    registry.take_effects();

    registry.publish(config("a", "2"), NOW_MS);
    assert_eq!(registry.take_effects().wake, ["user".into()]);
    assert!(matches!(
        message(&mut registry, &user),
        Some(to_node::Message::Dataset(_))
    ));
    assert_eq!(message(&mut registry, &user), None);
    assert_eq!(message(&mut registry, &other), None);

    registry.released(&user, "a");
    registry.publish(config("a", "3"), NOW_MS);
    assert_eq!(message(&mut registry, &user), None, "released");
}

#[test]
fn a_slow_node_gets_only_the_newest_version() {
    let mut registry = Registry::default();
    let peer = attached(&mut registry, "n");
    registry.publish(config("a", "0"), NOW_MS);
    granted(&mut registry, &peer, "a");
    for revision in 1..=1000 {
        registry.publish(config("a", &revision.to_string()), NOW_MS);
    }
    match message(&mut registry, &peer) {
        Some(to_node::Message::Dataset(newest)) => assert_eq!(newest.source_revision, "1000"),
        other => panic!("{other:?}"),
    }
    assert_eq!(message(&mut registry, &peer), None);
}

#[test]
fn a_grant_carries_what_is_published_when_it_is_sent() {
    let mut registry = Registry::default();
    let peer = attached(&mut registry, "n");
    registry.publish(config("a", "1"), NOW_MS);
    let share = Share {
        subpath: "in".into(),
        readonly: true,
    };
    registry.grant(&peer, 7, "a", share);
    registry.publish(config("a", "2"), NOW_MS);
    match message(&mut registry, &peer) {
        Some(to_node::Message::Grant(Grant {
            request: 7,
            dataset,
            subpath,
            readonly: true,
        })) => {
            assert_eq!(
                (dataset.unwrap().source_revision.as_str(), subpath.as_str()),
                ("2", "in")
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        message(&mut registry, &peer),
        None,
        "the grant was the update"
    );

    registry.grant(&peer, 8, "a", Share::default());
    registry.withdraw("a");
    let gone = message(&mut registry, &peer);
    assert!(
        matches!(
            gone,
            Some(to_node::Message::Refusal(Refusal { request: 8, .. }))
        ),
        "{gone:?}"
    );
}

#[test]
fn a_refused_dataset_says_why_until_it_is_published_again() {
    let mut registry = Registry::default();
    assert_eq!(registry.lookup("a"), Lookup::Unknown);
    registry.refuse("a", failure("SecretMissing"));
    assert_eq!(
        registry.lookup("a"),
        Lookup::Refused(failure("SecretMissing"))
    );
    registry.publish(config("a", "1"), NOW_MS);
    assert!(matches!(registry.lookup("a"), Lookup::Ready(_)));
    registry.refuse("a", failure("SecretMissing"));
    registry.take_effects();
    registry.publish(config("a", "1"), NOW_MS + 1);
    assert_eq!(
        registry.take_effects().looked_up,
        ["a".into()],
        "who waits is told"
    );
    assert_eq!(
        version(&registry, "a"),
        NOW_MS,
        "and nothing changed for who has it"
    );
    registry.withdraw("a");
    assert_eq!(registry.lookup("a"), Lookup::Unknown);
    assert!(registry.datasets.is_empty(), "nothing is left behind");
}

#[test]
fn what_a_node_says_it_holds_gets_no_keys_before_it_is_vetted() {
    let mut registry = Registry::default();
    registry.publish(config("a", "1"), NOW_MS);
    let peer = registry.attach(
        "n",
        vec![held("a", 5, &["p"]), held("b", 5, &["p"])],
        vec![],
        NOW_MS,
    );
    message(&mut registry, &peer);
    let Some(Outgoing::Vet { config, pods }) = registry.next(&peer) else {
        panic!()
    };
    assert_eq!((config.volume_handle.as_str(), pods), ("a", vec![pod("p")]));
    assert_eq!(registry.next(&peer), None, "b is not published yet");
    registry.clear(&peer, "a");
    assert!(matches!(
        message(&mut registry, &peer),
        Some(to_node::Message::Dataset(_))
    ));
    registry.publish(super::tests::config("b", "1"), NOW_MS);
    assert!(matches!(registry.next(&peer), Some(Outgoing::Vet { .. })));
    // What was not cleared is vetted again when the node next reports it.
    registry.report(&peer, usage("b", 1, 0, &["p"]), NOW_MS);
    assert!(matches!(registry.next(&peer), Some(Outgoing::Vet { .. })));
}

#[test]
fn a_node_that_holds_the_newest_version_is_told_nothing() {
    let mut registry = Registry::default();
    registry.publish(config("a", "1"), NOW_MS);
    let peer = registry.attach("n", vec![held("a", NOW_MS, &["p"])], vec![], NOW_MS);
    message(&mut registry, &peer);
    assert_eq!(registry.next(&peer), None);
    assert_eq!(registry.rollout("a").behind, Vec::<NodeName>::new());
}

#[test]
fn versions_of_another_leader_are_overtaken_but_not_those_of_a_liar() {
    let mut registry = Registry::default();
    registry.publish(config("a", "1"), NOW_MS);
    registry.attach("n", vec![held("a", NOW_MS + 100, &["p"])], vec![], NOW_MS);
    assert_eq!(version(&registry, "a"), NOW_MS + 101);
    registry.attach("m", vec![held("a", u64::MAX, &["p"])], vec![], NOW_MS);
    assert_eq!(version(&registry, "a"), NOW_MS + 101);
    // The node came before the dataset was published here.
    registry.attach("o", vec![held("b", NOW_MS + 100, &["p"])], vec![], NOW_MS);
    registry.publish(config("b", "1"), NOW_MS);
    assert_eq!(version(&registry, "b"), NOW_MS + 101);
}

#[test]
fn a_version_that_never_was_is_no_acknowledgement() {
    let mut registry = Registry::default();
    let peer = attached(&mut registry, "n");
    registry.publish(config("a", "1"), NOW_MS);
    granted(&mut registry, &peer, "a");
    let applied = |version| Applied {
        volume_handle: "a".into(),
        version,
        failure: None,
    };
    for wild in [u64::MAX, NOW_MS + 1] {
        registry.applied(&peer, applied(wild));
        assert_eq!(registry.rollout("a").behind, ["n".into()], "{wild}");
    }
    registry.applied(&peer, applied(NOW_MS));
    assert_eq!(registry.rollout("a").behind, Vec::<NodeName>::new());
    // The same said in a hello.
    registry.attach("m", vec![held("a", u64::MAX, &["p"])], vec![], NOW_MS);
    assert_eq!(registry.rollout("a").behind, ["m".into()]);
}

#[test]
fn a_later_stream_of_a_node_silences_the_earlier_one() {
    let mut registry = Registry::default();
    registry.publish(config("a", "1"), NOW_MS);
    let old = attached(&mut registry, "n");
    let new = registry.attach("n", vec![], vec![], NOW_MS);
    assert_eq!(registry.take_effects().wake, ["n".into()]);
    assert!(!registry.is_current(&old) && registry.is_current(&new));
    assert_eq!(registry.next(&old), None);
    registry.grant(&old, 1, "a", Share::default());
    registry.report(&old, usage("a", 1, 1, &["p"]), NOW_MS);
    registry.detach(&old);
    assert_eq!(registry.attached(), 1);
    assert!(registry.consumers("a").is_empty());
    assert!(matches!(
        message(&mut registry, &new),
        Some(to_node::Message::Welcome(_))
    ));
    assert_eq!(message(&mut registry, &new), None);
}

#[test]
fn acknowledgements_tell_which_nodes_are_behind_and_why() {
    let mut registry = Registry::default();
    let (a, b) = (attached(&mut registry, "a"), attached(&mut registry, "b"));
    registry.publish(config("d", "1"), NOW_MS);
    for peer in [&a, &b] {
        granted(&mut registry, peer, "d");
    }
    assert_eq!(registry.rollout("d").behind, ["a".into(), "b".into()]);
    let applied = |version, failure| Applied {
        volume_handle: "d".into(),
        version,
        failure,
    };
    registry.applied(&a, applied(NOW_MS, None));
    registry.applied(&b, applied(NOW_MS, Some(failure("BadOption"))));
    let rollout = registry.rollout("d");
    assert_eq!((rollout.nodes, rollout.behind), (2, vec!["b".into()]));
    assert_eq!(rollout.failures, [("b".into(), failure("BadOption"))]);
    registry.applied(&b, applied(NOW_MS, None));
    assert_eq!(registry.rollout("d").failures, []);
    registry.forget_node("b");
    assert_eq!(registry.rollout("d").nodes, 1);
}

#[test]
fn a_welcome_without_known_rules_leaves_a_node_those_it_has() {
    let mut registry = Registry::default();
    let peer = registry.attach("n", vec![], vec![], NOW_MS);
    match message(&mut registry, &peer) {
        Some(to_node::Message::Welcome(welcome)) => assert_eq!(welcome.network, None),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_node_hears_of_rules_and_mounters_and_the_newcomer_in_its_welcome() {
    let mut registry = Registry::default();
    let peer = attached(&mut registry, "n");
    let rules = NetworkRules {
        deny: vec!["10.0.0.0/8".into()],
        ..NetworkRules::default()
    };
    registry.set_network(rules.clone());
    registry.set_mounter("abc");
    registry.set_mounter("abc");
    assert_eq!(
        message(&mut registry, &peer),
        Some(to_node::Message::Network(rules.clone()))
    );
    assert!(matches!(
        message(&mut registry, &peer),
        Some(to_node::Message::Mounter(_))
    ));
    assert_eq!(message(&mut registry, &peer), None);
    let state = MounterState {
        revision: "abc".into(),
        mounts: 3,
    };
    let newcomer = registry.attach("m", vec![], vec![state], NOW_MS);
    match message(&mut registry, &newcomer) {
        Some(to_node::Message::Welcome(NodeWelcome { network, mounter })) => {
            assert_eq!(
                (network, mounter.unwrap().revision),
                (Some(rules), "abc".into())
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(message(&mut registry, &newcomer), None);
    assert_eq!(
        (registry.mounts_in("abc"), registry.mounts_in("abd")),
        (3, 0)
    );
    assert!(registry.has_reported("m") && !registry.has_reported("elsewhere"));
}
