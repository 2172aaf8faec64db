//! A node that says anything, in any order: as a broken driver does, or somebody with its token.

use dlf_wire::nodes::v1::{
    Applied, DatasetUsage, Held, MountWrites, MounterState, NodeHello, PodRef, Released, Report,
    from_node,
};
use dlf_wire::writes::v1::{Loss, Refusing, Writes, loss};
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::nodes::limits::{
    DATASETS_PER_NODE_MAX, FIGURE_MAX, MOUNTERS_PER_NODE_MAX, PODS_PER_MOUNT_MAX,
    PODS_PER_NODE_MAX, is_handle, is_pod,
};

const NOW_MS: u64 = 1_000_000;
const NODES: [&str; 2] = ["n0", "n1"];

/// Names that exist, names that nobody has, and texts that are none.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "d[0-3]",
        3 => "[a-z]{1,4}",
        1 => any::<String>(),
        1 => "\\.\\./secrets/x|a\\?watch=true|a/b",
        1 => "[a-zé]".prop_map(|text| text.repeat(20_000)),
    ]
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..3_u64,
        NOW_MS - 2..NOW_MS + 20,
        NOW_MS + VERSION_AHEAD_MS_MAX - 1..=NOW_MS + VERSION_AHEAD_MS_MAX + 1,
        any::<u64>(),
        Just(u64::MAX),
    ]
}

/// A pod as there are thousands of: what is repeated is short, so that no case is larger than a message can be.
fn sound_pod() -> impl Strategy<Value = PodRef> + Clone {
    "[a-z]{1,3}".prop_map(|name| PodRef {
        namespace: "ns".to_owned(),
        name,
        uid: "uid".to_owned(),
    })
}

fn pods() -> impl Strategy<Value = Vec<PodRef>> {
    let any = (texts(), texts(), texts()).prop_map(|(namespace, name, uid)| PodRef {
        namespace,
        name,
        uid,
    });
    let one = prop_oneof![3 => sound_pod(), 1 => any];
    let many = (sound_pod(), 0..3_000_usize).prop_map(|(pod, count)| vec![pod; count]);
    prop_oneof![20 => vec(one, 0..4), 1 => many]
}

fn mounters() -> impl Strategy<Value = Vec<MounterState>> {
    let one = (texts(), any::<u32>());
    let one = one.prop_map(|(revision, mounts)| MounterState { revision, mounts });
    vec(one, 0..20)
}

fn held() -> impl Strategy<Value = Vec<Held>> {
    let one = (texts(), numbers(), pods()).prop_map(|(volume_handle, version, pods)| Held {
        volume_handle,
        version,
        pods,
    });
    let many = (0..6_000_usize, vec(sound_pod(), 0..8)).prop_map(|(count, pods)| {
        let one = |number: usize| Held {
            volume_handle: format!("many-{number}"),
            version: 1,
            pods: pods.clone(),
        };
        (0..count).map(one).collect()
    });
    prop_oneof![60 => vec(one, 0..6), 1 => many]
}

fn writes() -> impl Strategy<Value = Vec<MountWrites>> {
    let cause = prop_oneof![
        texts().prop_map(loss::Cause::Refused),
        any::<u32>().prop_map(loss::Cause::Killed),
    ];
    let loss = (numbers(), texts(), option::of(cause));
    let loss = loss.prop_map(|(number, path, cause)| Loss {
        number,
        at_ms: number,
        path: path.clone(),
        kept: path,
        cause,
    });
    let refusing = (texts(), numbers(), vec(texts(), 0..5));
    let refusing = refusing.prop_map(|(reason, files, paths)| Refusing {
        code: reason.clone(),
        reason,
        since_ms: files,
        files,
        paths,
    });
    let counts = (0..3_u64, numbers(), numbers());
    let writes = (counts, option::of(refusing), any::<bool>(), vec(loss, 0..5));
    let writes =
        writes.prop_map(
            |((epoch, refused, killed), refusing, accepting, losses)| Writes {
                epoch,
                refused,
                killed,
                refusing,
                accepting,
                losses,
                ..Writes::default()
            },
        );
    let mount = (texts(), option::of(writes), pods());
    let mount = mount.prop_map(|(mount_id, writes, pods)| MountWrites {
        mount_id,
        writes,
        pods,
    });
    vec(mount, 0..4)
}

fn usage() -> impl Strategy<Value = DatasetUsage> {
    let figures = (numbers(), numbers(), numbers());
    let usage = (texts(), 0..3_u64, figures, pods(), writes());
    usage.prop_map(
        |(volume_handle, epoch, figures, pods, writes)| DatasetUsage {
            volume_handle,
            epoch,
            bytes_read: figures.0,
            bytes_written: figures.1,
            requests: figures.2,
            pods,
            writes,
            ..DatasetUsage::default()
        },
    )
}

fn messages() -> impl Strategy<Value = from_node::Message> {
    use from_node::Message;
    let failure = (texts(), texts()).prop_map(|(reason, message)| Failure::new(reason, message));
    let hello = (held(), mounters()).prop_map(|(held, mounters)| NodeHello {
        held,
        mounters,
        ..NodeHello::default()
    });
    let applied = (texts(), numbers(), option::of(failure));
    let applied = applied.prop_map(|(volume_handle, version, failure)| Applied {
        volume_handle,
        version,
        failure,
    });
    let report = (vec(usage(), 0..5), mounters());
    let report = report.prop_map(|(usage, mounters)| Report { usage, mounters });
    prop_oneof![
        1 => hello.prop_map(Message::Hello),
        3 => applied.prop_map(Message::Applied),
        3 => report.prop_map(Message::Report),
        1 => texts().prop_map(|volume_handle| Message::Released(Released { volume_handle })),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Says(usize, from_node::Message),
    Asks(usize, u64, String),
    Publishes(String),
    Withdraws(String),
    Takes(usize),
    Leaves(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = || 0..NODES.len();
    let step = prop_oneof![
        8 => (node(), messages()).prop_map(|(node, message)| Step::Says(node, message)),
        2 => (node(), any::<u64>(), texts()).prop_map(|(node, id, of)| Step::Asks(node, id, of)),
        3 => "d[0-3]".prop_map(Step::Publishes),
        1 => "d[0-3]".prop_map(Step::Withdraws),
        2 => node().prop_map(Step::Takes),
        1 => node().prop_map(Step::Leaves),
    ];
    vec(step, 0..40)
}

fn take(registry: &mut Registry, peers: &mut [Peer; 2], step: Step, count: usize) {
    match step {
        Step::Says(node, from_node::Message::Hello(hello)) => {
            peers[node] = registry.attach(NODES[node], hello.held, hello.mounters, NOW_MS);
        }
        Step::Says(node, from_node::Message::Applied(applied)) => {
            registry.applied(&peers[node], applied);
        }
        Step::Says(node, from_node::Message::Report(report)) => {
            registry.report(&peers[node], report, NOW_MS);
        }
        Step::Says(node, from_node::Message::Released(released)) => {
            registry.released(&peers[node], &released.volume_handle);
        }
        Step::Says(
            _,
            from_node::Message::Token(_)
            | from_node::Message::Need(_)
            | from_node::Message::Made(_),
        ) => {}
        Step::Asks(node, request, handle) => {
            registry.grant(&peers[node], request, &handle, Share::default());
        }
        Step::Publishes(handle) => {
            let config = DatasetConfig {
                volume_handle: handle,
                source_revision: count.to_string(),
                ..DatasetConfig::default()
            };
            registry.publish(config, NOW_MS);
        }
        Step::Withdraws(handle) => registry.withdraw(&handle),
        Step::Takes(node) => {
            let mut left = 10_000;
            while let Some(outgoing) = registry.next(&peers[node]) {
                left -= 1;
                assert!(left > 0, "there is no end to what a node is told");
                if let Outgoing::Vet { config, .. } = outgoing {
                    registry.clear(&peers[node], &config.volume_handle);
                }
            }
        }
        Step::Leaves(node) => registry.forget_node(NODES[node]),
    }
}

/// What is remembered is bounded, can be written, and cannot be used against the API server.
fn check(registry: &mut Registry, steps: usize) -> Result<(), TestCaseError> {
    prop_assert!(registry.nodes.len() <= NODES.len());
    for node in registry.nodes.values() {
        // What it was granted comes on top: four at most, here.
        prop_assert!(node.handles.len() <= DATASETS_PER_NODE_MAX + 4);
        prop_assert!(node.handles.iter().all(|handle| is_handle(handle)));
        prop_assert!(node.mounters.len() <= MOUNTERS_PER_NODE_MAX);
    }
    let highest = NOW_MS + VERSION_AHEAD_MS_MAX + u64::try_from(steps).unwrap() + 1;
    let mut pods = HashMap::new();
    for dataset in registry.datasets.values() {
        prop_assert!(dataset.version() <= highest);
        for (node, link) in &dataset.links {
            prop_assert!(link.applied <= highest && link.sent <= highest);
            prop_assert!(link.pods.len() <= PODS_PER_MOUNT_MAX && link.pods.iter().all(is_pod));
            *pods.entry(node).or_insert(0) += link.pods.len();
            let texts = link
                .failure
                .iter()
                .map(|why| why.reason.len() + why.message.len());
            prop_assert!(texts.sum::<usize>() < 5_000);
        }
    }
    prop_assert!(pods.values().all(|pods| *pods <= PODS_PER_NODE_MAX));
    let unreported = registry.datasets.values();
    let unreported: usize = unreported
        .map(|dataset| dataset.losses.unreported.len())
        .sum();
    prop_assert_eq!(unreported, registry.unreported);
    for handle in ["d0", "d1", "d2", "d3"] {
        if let Some(refused) = registry.refused(handle, NOW_MS) {
            prop_assert!(refused.reason.len() <= 64 && refused.paths.len() <= 3);
        }
        for unreported in registry.unreported(handle, NOW_MS).0 {
            prop_assert!(unreported.pods.len() <= 32 && unreported.pods.iter().all(is_pod));
            prop_assert!(unreported.named.iter().all(|file| file.path.len() <= 320));
        }
        let done = registry.lifetime(handle, Counters::default());
        prop_assert!(done.bytes_read.max(done.bytes_written) <= FIGURE_MAX);
    }
    Ok(())
}

proptest! {
    #[test]
    fn whatever_nodes_say_is_bounded_and_others_are_served(steps in steps()) {
        let mut registry = Registry::default();
        let mut peers = NODES.map(|node| registry.attach(node, vec![], vec![], NOW_MS));
        let count = steps.len();
        for (number, step) in steps.into_iter().enumerate() {
            take(&mut registry, &mut peers, step, number);
            registry.take_effects();
            check(&mut registry, count)?;
        }
        // A node that behaves gets what it asks for all the same.
        let honest = registry.attach("honest", vec![], vec![], NOW_MS);
        let config = DatasetConfig { volume_handle: "d0".into(), source_revision: "last".into(), ..DatasetConfig::default() };
        registry.publish(config, NOW_MS);
        registry.grant(&honest, 1, "d0", Share::default());
        let mut granted = false;
        while let Some(outgoing) = registry.next(&honest) {
            granted |= matches!(outgoing, Outgoing::Message(message) if matches!(*message, dlf_wire::nodes::v1::to_node::Message::Grant(_)));
        }
        prop_assert!(granted);
        // Once all have gone, nothing is left of what they said.
        for node in NODES.into_iter().chain(["honest"]) {
            registry.forget_node(node);
        }
        for handle in ["d0", "d1", "d2", "d3"] {
            registry.withdraw(handle);
        }
        prop_assert!(registry.datasets.is_empty() && registry.nodes.is_empty());
    }
}
