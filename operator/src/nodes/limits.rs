//! What of a node's or a worker's words can be true. A broken or rogue one must not make us remember
//! without bound, write what the API server refuses, or ask it for what is no pod.

use dlf_core::labels::{is_dns_label, is_dns_subdomain};
use dlf_core::shards::SHARDS_MAX;
use dlf_wire::nodes::v1::{Failure, MountWrites, MounterState, PodRef, ReplicaAnswer};
use dlf_wire::writes::v1::{Loss, Refusing, loss};

/// Datasets one node may say it has mounted. The kubelet's default is 110 pods; this leaves room
/// for 500 pods with a few datasets each.
pub(super) const DATASETS_PER_NODE_MAX: usize = 4096;
/// Pods one node may name for one dataset; more than a node can run.
pub(super) const PODS_PER_MOUNT_MAX: usize = 1024;
/// Pods one node may name for all its datasets together: 500 pods with 32 datasets each.
pub(super) const PODS_PER_NODE_MAX: usize = 16 * 1024;
/// Mounter revisions a node may name: one, or two in an upgrade, and some that linger.
pub(super) const MOUNTERS_PER_NODE_MAX: usize = 16;
/// Longest volume handle: the CSI specification's limit, which the node driver keeps as well.
const HANDLE_BYTES_MAX: usize = 128;
/// Longest uid: the API server's have 36 bytes, the kubelet's own 32.
const UID_BYTES_MAX: usize = 64;
/// Longest revision: it is a label's value.
const REVISION_BYTES_MAX: usize = 63;
/// Longest reason of a failure, which is a word.
const REASON_BYTES_MAX: usize = 64;
/// Longest text of a failure. It becomes a condition that a person reads.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Mounts of one dataset on a node of which something is told: one for each group of pods, and those
/// of before an edit.
const MOUNTS_PER_DATASET_MAX: usize = 16;
/// Longest id of a mount: a volume handle and three numbers.
const MOUNT_BYTES_MAX: usize = 256;
/// Pods of one mount that are told of lost files, each by an event of its own.
const PODS_TOLD_MAX: usize = 32;
/// Lost files of one mount that are told one by one.
const LOSSES_MAX: usize = 16;
/// Files that are named together: a person looks for the cause with the first.
pub(super) const NAMED_FILES_MAX: usize = 3;
/// Longest key of an object (S3 user guide, "Creating object key names").
const KEY_BYTES_MAX: usize = 1024;
/// Longest URL of a replica, as the policy of plans has it.
const URL_BYTES_MAX: usize = 512;
/// Longest path of a lost file; of a longer one the end is kept, which tells files apart.
const PATH_BYTES_MAX: usize = 320;
/// Longest name of a kept file: that of any file.
const KEPT_BYTES_MAX: usize = 255;
/// The status has its figures as int64: the API server takes none above.
pub(super) const FIGURE_MAX: u64 = i64::MAX.unsigned_abs();

/// Whether it can be the handle of a volume.
pub(super) fn is_handle(text: &str) -> bool {
    (1..=HANDLE_BYTES_MAX).contains(&text.len())
}

/// Whether it can be a pod. Its names become parts of a path to the API server.
pub(super) fn is_pod(pod: &PodRef) -> bool {
    is_dns_label(&pod.namespace)
        && is_dns_subdomain(&pod.name)
        && (1..=UID_BYTES_MAX).contains(&pod.uid.len())
}

/// The pods among these, as many as one mount has.
pub(super) fn pods(mut named: Vec<PodRef>) -> Vec<PodRef> {
    named.retain(is_pod);
    named.truncate(PODS_PER_MOUNT_MAX);
    named
}

/// The mounters among these, as many as a node has.
pub(super) fn mounters(mut states: Vec<MounterState>) -> Vec<MounterState> {
    states.retain(|state| state.revision.len() <= REVISION_BYTES_MAX);
    states.truncate(MOUNTERS_PER_NODE_MAX);
    states
}

/// What of mounts' lost files can be true, with reasons that a condition takes.
pub(super) fn writes(mut reported: Vec<MountWrites>) -> Vec<MountWrites> {
    reported.retain(|mount| (1..=MOUNT_BYTES_MAX).contains(&mount.mount_id.len()));
    reported.truncate(MOUNTS_PER_DATASET_MAX);
    for mount in &mut reported {
        mount.pods = pods(std::mem::take(&mut mount.pods));
        mount.pods.truncate(PODS_TOLD_MAX);
        let Some(writes) = &mut mount.writes else {
            continue;
        };
        if let Some(refusing) = &mut writes.refusing {
            let Refusing {
                reason,
                code,
                paths,
                ..
            } = refusing;
            *reason = word(std::mem::take(reason)).unwrap_or_else(unknown);
            *code = word(std::mem::take(code)).unwrap_or_default();
            paths.truncate(NAMED_FILES_MAX);
            paths.iter_mut().for_each(cut);
        }
        writes.losses.truncate(LOSSES_MAX);
        writes.losses.iter_mut().for_each(cut_loss);
    }
    reported
}

fn cut_loss(reported: &mut Loss) {
    cut(&mut reported.path);
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if reported.kept.len() > KEPT_BYTES_MAX || !reported.kept.bytes().all(safe) {
        reported.kept.clear();
    }
    if let Some(loss::Cause::Refused(reason)) = &mut reported.cause {
        *reason = word(std::mem::take(reason)).unwrap_or_else(unknown);
    }
}

fn cut(path: &mut String) {
    let begin = path.len().saturating_sub(PATH_BYTES_MAX);
    path.drain(..path.ceil_char_boundary(begin));
}

/// What a condition takes as its reason.
fn word(reported: String) -> Option<String> {
    let word = reported.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let begins = reported.starts_with(|first: char| first.is_ascii_alphabetic());
    (word && begins && reported.len() <= REASON_BYTES_MAX).then_some(reported)
}

fn unknown() -> String {
    "Unknown".to_owned()
}

/// A failure with a reason that a condition takes and a text that a person reads.
pub(super) fn failure(mut reported: Failure) -> Failure {
    reported.reason = word(reported.reason).unwrap_or_else(unknown);
    let end = reported.message.floor_char_boundary(MESSAGE_BYTES_MAX);
    reported.message.truncate(end);
    let end = reported.unreachable.floor_char_boundary(MESSAGE_BYTES_MAX);
    reported.unreachable.truncate(end);
    reported
}

/// What replicas of one cache can have said. One whose node has no name that a node can have names none.
pub(super) fn replicas(mut reported: Vec<ReplicaAnswer>) -> Vec<ReplicaAnswer> {
    reported.retain(|answer| answer.url.len() <= URL_BYTES_MAX);
    reported.truncate(SHARDS_MAX);
    for answer in &mut reported {
        let end = answer.failure.floor_char_boundary(MESSAGE_BYTES_MAX);
        answer.failure.truncate(end);
        if let Some(stats) = &mut answer.stats
            && !is_dns_subdomain(&stats.node)
        {
            stats.node.clear();
        }
    }
    reported
}

/// The key up to which a task is done; a longer one is none.
pub(super) fn key(reported: String) -> String {
    if reported.len() > KEY_BYTES_MAX {
        String::new()
    } else {
        reported
    }
}

#[cfg(test)]
mod tests {
    use dlf_wire::nodes::v1::ReplicaStats;
    use dlf_wire::writes::v1::Writes;

    use super::*;

    #[test]
    fn a_failure_can_be_written_as_a_condition() {
        let reported = |reason: &str, message: String| failure(Failure::new(reason, message));
        assert_eq!(
            reported("NoSuchBucket", "why".into()).reason,
            "NoSuchBucket"
        );
        for odd in ["", "no such bucket", "1st", "É", &"A".repeat(65)] {
            assert_eq!(reported(odd, String::new()).reason, "Unknown", "{odd}");
        }
        let long = reported("Long", "é".repeat(1 << 20)).message;
        assert_eq!(long.len(), MESSAGE_BYTES_MAX);
    }

    #[test]
    fn what_a_node_says_of_lost_files_is_cut() {
        let loss = |kept: &str| Loss {
            path: "é".repeat(PATH_BYTES_MAX),
            kept: kept.to_owned(),
            cause: Some(loss::Cause::Refused("no\nword".to_owned())),
            ..Loss::default()
        };
        let refusing = Refusing {
            reason: "A b".to_owned(),
            code: "<b>".to_owned(),
            paths: vec!["p".repeat(10_000); 100],
            ..Refusing::default()
        };
        let mount = |id: String| MountWrites {
            mount_id: id,
            writes: Some(Writes {
                refusing: Some(refusing.clone()),
                losses: vec![loss("../../etc/passwd"); 100],
                ..Writes::default()
            }),
            pods: Vec::new(),
        };
        let ids = (0..100).map(|id| id.to_string()).chain(["x".repeat(1000)]);
        let reported = writes(ids.map(mount).collect());
        assert_eq!(reported.len(), MOUNTS_PER_DATASET_MAX);
        let first = reported[0].writes.clone().unwrap();
        assert_eq!(first.losses.len(), LOSSES_MAX);
        assert!(first.losses[0].path.len() <= PATH_BYTES_MAX);
        assert_eq!(first.losses[0].kept, "");
        let reason = loss::Cause::Refused("Unknown".to_owned());
        assert_eq!(first.losses[0].cause, Some(reason));
        let refusing = first.refusing.unwrap();
        assert_eq!(refusing.reason, "Unknown");
        assert_eq!(refusing.paths, vec!["p".repeat(PATH_BYTES_MAX); 3]);
    }

    #[test]
    fn what_a_worker_says_of_replicas_and_of_keys_is_cut() {
        let answer = |url: &str, node: &str| ReplicaAnswer {
            url: url.to_owned(),
            stats: Some(ReplicaStats {
                node: node.to_owned(),
                ..ReplicaStats::default()
            }),
            failure: "é".repeat(1 << 20),
        };
        let said = [
            answer("http://a", "n1"),
            answer(&"u".repeat(600), "n1"),
            answer("http://b", "../n"),
        ];
        let kept = replicas(said.into());
        let nodes: Vec<&str> = kept
            .iter()
            .flat_map(|one| &one.stats)
            .map(|stats| stats.node.as_str())
            .collect();
        assert_eq!(nodes, ["n1", ""]);
        assert!(kept[0].failure.len() <= MESSAGE_BYTES_MAX);
        assert_eq!(
            replicas(vec![answer("http://a", "n1"); 1000]).len(),
            SHARDS_MAX
        );
        assert_eq!(
            (
                key("a/b".to_owned()).as_str(),
                key("k".repeat(1025)).as_str()
            ),
            ("a/b", "")
        );
    }

    #[test]
    fn what_leads_out_of_a_path_is_no_pod() {
        let pod = |namespace: &str, name: &str, uid: &str| PodRef {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
        };
        assert!(is_pod(&pod("ns", "web-0.a", "0b1c")));
        for wrong in [
            pod("../secrets", "a", "u"),
            pod("ns", "../../secrets/x", "u"),
            pod("ns", "a?watch=true", "u"),
            pod("ns", "", "u"),
            pod("", "a", "u"),
            pod("ns", "a", ""),
        ] {
            assert!(!is_pod(&wrong), "{wrong:?}");
        }
    }
}
