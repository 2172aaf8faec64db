//! Who uses a dataset, and what they did with it.

use super::*;

#[test]
fn consumers_are_what_nodes_report_and_outlive_a_broken_stream() {
    let mut registry = Registry::default();
    let peer = attached(&mut registry, "n");
    registry.publish(config("a", "1"), NOW_MS);
    granted(&mut registry, &peer, "a");
    registry.take_effects();
    registry.report(&peer, usage("a", 1, 10, &["p", "q"]), NOW_MS);
    assert_eq!(registry.take_effects().used, ["a".into()]);
    registry.report(&peer, usage("a", 1, 20, &["p", "q"]), NOW_MS);
    assert_eq!(
        registry.take_effects().used,
        Vec::<Handle>::new(),
        "figures alone"
    );
    assert_eq!(registry.consumers("a").len(), 2);

    registry.detach(&peer);
    assert_eq!(
        registry.consumers("a").len(),
        2,
        "the mounts are still there"
    );
    registry.attach("n", vec![held("a", NOW_MS, &["q"])], vec![], NOW_MS);
    let left: Vec<_> = registry
        .consumers("a")
        .into_iter()
        .map(|c| c.pod.name)
        .collect();
    assert_eq!(left, ["q"]);
    registry.attach("n", vec![], vec![], NOW_MS);
    assert!(registry.consumers("a").is_empty(), "after a reboot");
}

#[test]
fn a_mount_whose_release_crossed_its_grant_is_taken_up_again() {
    let mut registry = Registry::default();
    let peer = attached(&mut registry, "n");
    registry.publish(config("a", "1"), NOW_MS);
    granted(&mut registry, &peer, "a");
    registry.released(&peer, "a");
    registry.report(&peer, usage("a", 1, 10, &["p"]), NOW_MS);
    assert_eq!(registry.consumers("a").len(), 1);
    registry.report(&peer, usage("never-published", 1, 10, &["p"]), NOW_MS);
    assert_eq!(registry.datasets.len(), 1);
}

#[test]
fn figures_are_counted_once() {
    let mut registry = Registry::default();
    let peer = attached(&mut registry, "n");
    registry.publish(config("a", "1"), NOW_MS);
    granted(&mut registry, &peer, "a");
    let total = |registry: &mut Registry| registry.lifetime("a", Counters::default()).bytes_read;
    registry.report(&peer, usage("a", 1, 100, &["p"]), NOW_MS);
    registry.report(&peer, usage("a", 1, 150, &["p"]), NOW_MS);
    assert_eq!(total(&mut registry), 150);
    registry.report(&peer, usage("a", 2, 30, &["p"]), NOW_MS);
    assert_eq!(total(&mut registry), 180, "a new mount begins at zero");
    registry.attach("n", vec![held("a", NOW_MS, &["p"])], vec![], NOW_MS);
    let peer = registry.attach("n", vec![held("a", NOW_MS, &["p"])], vec![], NOW_MS);
    registry.report(&peer, usage("a", 2, 40, &["p"]), NOW_MS);
    assert_eq!(total(&mut registry), 190, "a new stream is not a new mount");
    let other = registry.attach("m", vec![held("a", NOW_MS, &["p"])], vec![], NOW_MS);
    registry.report(&other, usage("a", 9, 1000, &["p"]), NOW_MS);
    registry.report(&other, usage("a", 9, 1001, &["p"]), NOW_MS);
    assert_eq!(
        total(&mut registry),
        191,
        "what another leader counted is not counted again"
    );
}

#[test]
fn what_an_earlier_leader_wrote_down_is_continued_and_never_falls() {
    let read = |bytes_read| Counters {
        bytes_read,
        ..Counters::default()
    };
    let mut registry = Registry::default();
    let peer = attached(&mut registry, "n");
    registry.publish(config("a", "1"), NOW_MS);
    granted(&mut registry, &peer, "a");
    registry.report(&peer, usage("a", 1, 100, &["p"]), NOW_MS);
    assert_eq!(registry.lifetime("a", read(5000)).bytes_read, 5100);
    registry.report(&peer, usage("a", 1, 130, &["p"]), NOW_MS);
    assert_eq!(
        registry.lifetime("a", read(5100)).bytes_read,
        5130,
        "what this operator wrote is not added to itself"
    );
    assert_eq!(
        registry.lifetime("a", read(9000)).bytes_read,
        9000,
        "another leader wrote in between"
    );
    assert_eq!(registry.lifetime("unknown", read(7)).bytes_read, 7);
    assert_eq!(
        (registry.sum().bytes_read, registry.mounted()),
        (130, (1, 1))
    );
}

#[test]
fn figures_stay_within_what_a_status_can_say() {
    let mut registry = Registry::default();
    let peer = attached(&mut registry, "n");
    registry.publish(config("a", "1"), NOW_MS);
    granted(&mut registry, &peer, "a");
    for epoch in 0..3 {
        registry.report(&peer, usage("a", epoch, u64::MAX, &["p"]), NOW_MS);
    }
    let done = registry.lifetime("a", Counters::default());
    assert_eq!(done.bytes_read, i64::MAX.unsigned_abs());
}
