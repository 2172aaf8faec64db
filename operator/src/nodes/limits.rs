//! What of a node's or a worker's words can be true. A broken or rogue one must not make us remember
//! without bound, write what the API server refuses, or ask it for what is no pod.

use dlf_core::labels::{is_dns_label, is_dns_subdomain};
use dlf_wire::nodes::v1::{Failure, MounterState, PodRef};

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

/// A failure with a reason that a condition takes and a text that a person reads.
pub(super) fn failure(mut told: Failure) -> Failure {
    let word = told.reason.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let begins = told
        .reason
        .starts_with(|first: char| first.is_ascii_alphabetic());
    if !word || !begins || told.reason.len() > REASON_BYTES_MAX {
        "Unknown".clone_into(&mut told.reason);
    }
    let end = told.message.floor_char_boundary(MESSAGE_BYTES_MAX);
    told.message.truncate(end);
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_can_be_written_as_a_condition() {
        let told = |reason: &str, message: String| {
            failure(Failure {
                reason: reason.to_owned(),
                message,
            })
        };
        assert_eq!(told("NoSuchBucket", "why".into()).reason, "NoSuchBucket");
        for odd in ["", "no such bucket", "1st", "É", &"A".repeat(65)] {
            assert_eq!(told(odd, String::new()).reason, "Unknown", "{odd}");
        }
        let long = told("Long", "é".repeat(1 << 20)).message;
        assert_eq!(long.len(), MESSAGE_BYTES_MAX);
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
