use dlf_wire::nodes::v1::MountWrites;
use dlf_wire::writes::v1::{Loss, Refusing, Writes, loss};

use super::*;

const HOUR_MS: u64 = 60 * 60 * 1000;

/// What a mount tells that refused so many files, and still does.
fn refused(files: u64) -> Writes {
    let paths = ["a", "b"].map(str::to_owned).to_vec();
    let losses = (1..=files).map(|number| Loss {
        number,
        path: "a".to_owned(),
        at_ms: NOW_MS,
        cause: Some(loss::Cause::Refused("AccessDenied".to_owned())),
        ..Loss::default()
    });
    Writes {
        epoch: 1,
        refused: files,
        refusing: Some(Refusing {
            reason: "AccessDenied".to_owned(),
            code: String::new(),
            since_ms: NOW_MS,
            files,
            paths,
        }),
        losses: losses.collect(),
        ..Writes::default()
    }
}

/// What a mount tells that refused files before, and takes them now.
fn accepting(refused_before: u64) -> Writes {
    Writes {
        refusing: None,
        accepting: true,
        ..refused(refused_before)
    }
}

fn report(mounts: &[(&str, Writes)]) -> Report {
    let mut report = usage("a", 1, 0, &["p"]);
    report.usage[0].writes = mounts
        .iter()
        .map(|(mount, writes)| MountWrites {
            mount_id: (*mount).to_owned(),
            writes: Some(writes.clone()),
            pods: vec![pod("p")],
        })
        .collect();
    report
}

/// A registry with dataset `a`, and nodes that have it mounted.
fn mounted(nodes: &[&str]) -> (Registry, Vec<Peer>) {
    let mut registry = Registry::default();
    registry.publish(config("a", "1"), NOW_MS);
    let peers = nodes.iter().map(|node| {
        let peer = registry.attach(node, vec![], vec![], NOW_MS);
        registry.grant(&peer, 1, "a", Share::default());
        while registry.next(&peer).is_some() {}
        peer
    });
    let peers = peers.collect();
    (registry, peers)
}

#[test]
fn a_refusal_stands_until_a_write_succeeds_on_each_node_that_told_of_one() {
    let (mut registry, nodes) = mounted(&["n1", "n2", "n3"]);
    assert_eq!(registry.refused("a", NOW_MS), None);
    registry.report(&nodes[0], report(&[("m1", refused(2))]), NOW_MS);
    registry.report(&nodes[1], report(&[("m2", refused(3))]), NOW_MS);
    let found = registry.refused("a", NOW_MS).unwrap();
    assert_eq!((found.reason.as_str(), found.files), ("AccessDenied", 5));
    assert_eq!((found.since_ms, found.paths.len()), (NOW_MS, 2));
    registry.report(&nodes[0], report(&[("m1", accepting(2))]), NOW_MS);
    registry.report(&nodes[2], report(&[("m3", accepting(0))]), NOW_MS);
    assert_eq!(registry.refused("a", NOW_MS).unwrap().files, 3);
    registry.report(&nodes[1], report(&[("m2", accepting(3))]), NOW_MS);
    assert_eq!(registry.refused("a", NOW_MS), None);
    assert_eq!(registry.lost().refused, 5, "what was counted stays");
}

#[test]
fn the_refusal_of_a_mount_that_has_gone_counts_for_an_hour_or_until_the_node_can_write() {
    let gone = || {
        let (mut registry, nodes) = mounted(&["n1"]);
        registry.report(&nodes[0], report(&[("m1", refused(1))]), NOW_MS);
        registry.released(&nodes[0], "a");
        assert!(registry.refused("a", NOW_MS + HOUR_MS - 1).is_some());
        (registry, nodes)
    };
    let (mut registry, _) = gone();
    assert_eq!(registry.refused("a", NOW_MS + HOUR_MS), None);

    let (mut registry, nodes) = gone();
    registry.grant(&nodes[0], 2, "a", Share::default());
    while registry.next(&nodes[0]).is_some() {}
    registry.report(&nodes[0], report(&[("m2", accepting(0))]), NOW_MS);
    assert_eq!(registry.refused("a", NOW_MS), None, "the next job wrote");

    let (mut registry, _) = gone();
    registry.publish(config("a", "2"), NOW_MS);
    assert_eq!(registry.refused("a", NOW_MS), None, "other keys");
    assert!(registry.take_effects().reported.contains(&"a".into()));
}

#[test]
fn a_loss_is_told_once_however_often_its_node_repeats_it() {
    let (mut registry, nodes) = mounted(&["n1"]);
    registry.report(&nodes[0], report(&[("m1", refused(2))]), NOW_MS);
    registry.report(&nodes[0], report(&[("m1", refused(2))]), NOW_MS);
    let (told, rest) = registry.unreported("a", NOW_MS);
    let [one] = &told[..] else { panic!("{told:?}") };
    assert_eq!((one.files, &one.pods[..]), (2, &[pod("p")][..]));
    assert_eq!(one.fate, Fate::Refused("AccessDenied".to_owned()));
    assert_eq!(rest, None);
    // Its stream breaks, and it tells all of it again.
    let again = registry.attach("n1", vec![held("a", NOW_MS, &["p"])], vec![], NOW_MS);
    registry.report(&again, report(&[("m1", refused(2))]), NOW_MS);
    assert_eq!(registry.unreported("a", NOW_MS), (vec![], None));
    // A driver that has just started knows nothing of it before its mounters have told it.
    registry.report(&again, report(&[]), NOW_MS);
    assert!(registry.refused("a", NOW_MS).is_some());
    registry.report(&again, report(&[("m1", refused(2))]), NOW_MS);
    assert_eq!(registry.unreported("a", NOW_MS), (vec![], None));
    // What is new waits for the next round.
    registry.report(&again, report(&[("m1", refused(3))]), NOW_MS);
    let (told, rest) = registry.unreported("a", NOW_MS + 1);
    assert!(told.is_empty() && rest.is_some(), "{rest:?}");
    let (told, _) = registry.unreported("a", NOW_MS + 1 + rest.unwrap());
    assert_eq!(told[0].files, 1);
    assert_eq!(registry.lost().refused, 3);
}

#[test]
fn a_new_leader_shows_a_refusal_and_tells_only_what_has_just_happened() {
    for (age_ms, told) in [(1_000, 1), (HOUR_MS, 0)] {
        let mut registry = Registry::default();
        registry.publish(config("a", "1"), NOW_MS);
        let now_ms = NOW_MS + age_ms;
        let peer = registry.attach("n1", vec![held("a", NOW_MS, &["p"])], vec![], now_ms);
        registry.report(&peer, report(&[("m1", refused(4))]), now_ms);
        assert_eq!(registry.refused("a", now_ms).unwrap().files, 4);
        assert_eq!(registry.unreported("a", now_ms).0.len(), told, "{age_ms}");
        assert_eq!(registry.lost().refused, 0, "the leader before counted them");
        registry.report(&peer, report(&[("m1", refused(5))]), now_ms);
        assert_eq!(registry.lost().refused, 1);
    }
}

#[test]
fn of_a_crowd_of_losses_the_number_is_told_and_some_names() {
    let (mut registry, nodes) = mounted(&["n1"]);
    let mut crowd = refused(16);
    crowd.refused = 10_000;
    for (loss, number) in crowd.losses.iter_mut().zip(9_985..) {
        loss.number = number;
    }
    registry.report(&nodes[0], report(&[("m1", crowd)]), NOW_MS);
    let (told, _) = registry.unreported("a", NOW_MS);
    assert_eq!((told[0].files, told[0].named.len()), (10_000, 3));
}
