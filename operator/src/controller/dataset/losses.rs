//! Who is told of files that were written and that the source does not have: the Dataset and the pods
//! of the mount, all in the Dataset's own namespace, where files may be named.

use std::time::Duration;

use dlf_core::{
    api::Dataset,
    condition::{ConditionType, Finding},
    shown::{about, file_name, file_names},
};
use dlf_wire::nodes::v1::PodRef;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::events::EventType;

use crate::{
    controller::{Context, events, names::Identity, status::finding_of},
    nodes::registry::{Fate, Refused, UnreportedLoss},
};

/// A refusal that is over stays in the status for so long: a program that fails with every other file
/// costs the API server no write for each, and nodes need a moment to find a new leader.
const REFUSAL_STAYS: Duration = Duration::from_mins(1);

/// What the status is to say of mounts' writes, and in how long that is over unless it is renewed.
pub(super) fn standing(
    dataset: &Dataset,
    identity: &Identity,
    refused: Option<&Refused>,
    ctx: &Context,
) -> (Option<Finding>, Option<Duration>) {
    let (refusals, handle) = (&ctx.shared.refusals_seen, identity.handle());
    let quiet = refusals.elapsed(&handle);
    if let Some(refused) = refused {
        refusals.restart(&handle);
        return (Some(finding(refused)), None);
    }
    let said = dataset.status.iter().flat_map(|status| &status.conditions);
    let mut said = said.filter_map(finding_of);
    let last = said.find(|said| said.kind == ConditionType::WritesRefused);
    let last = last.filter(|_| quiet < REFUSAL_STAYS);
    let over = last.as_ref().map(|_| REFUSAL_STAYS.saturating_sub(quiet));
    (last, over)
}

/// Why the source does not take what pods write, as mounts tell.
fn finding(refused: &Refused) -> Finding {
    let Refused {
        reason,
        code,
        since_ms,
        files,
        paths,
    } = refused;
    let since = i64::try_from(*since_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let since = since.map_or_else(String::new, |since| format!(" since {since:.0}"));
    let named = file_names(paths.iter().map(String::as_str));
    let said = match code.as_str() {
        "" => reason.clone(),
        code if code == reason => reason.clone(),
        code => format!("{reason}, in its words {code}"),
    };
    let message = format!(
        "{} that pods wrote{since} {} not in the source ({said}): {named}; each name shows what the source has; {}",
        counted(*files),
        if *files == 1 { "is" } else { "are" },
        way_out(reason)
    );
    Finding::new(ConditionType::WritesRefused, true, reason, message)
}

/// Writes the events that are due; gives in how long others are.
pub(super) async fn tell(
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Option<Duration> {
    let (round, rest) = ctx.shared.nodes.unreported(&identity.handle());
    for unreported in round {
        let (reason, note) = event(&unreported, identity);
        events::publish(dataset, EventType::Warning, reason, &note, ctx).await;
        for pod in own_pods(&unreported, identity) {
            events::publish_about(&events::of_pod(pod), EventType::Warning, reason, &note, ctx)
                .await;
        }
    }
    rest
}

/// The pods that may be told files' names: a node that names others gains nothing.
fn own_pods<'a>(
    unreported: &'a UnreportedLoss,
    identity: &Identity,
) -> impl Iterator<Item = &'a PodRef> {
    let pods = unreported.pods.iter();
    pods.filter(|pod| pod.namespace == identity.namespace)
}

fn event(unreported: &UnreportedLoss, identity: &Identity) -> (&'static str, String) {
    let files = counted(unreported.files);
    let named = file_names(unreported.named.iter().map(|file| file.path.as_str()));
    let (dataset, node) = (&identity.name, &unreported.node);
    let kept = kept(unreported, identity);
    match &unreported.fate {
        Fate::Refused(reason) => (
            "WritesRefused",
            format!(
                "{files} of dataset {dataset} could not be written ({reason}): {named}; {}",
                way_out(reason)
            ),
        ),
        Fate::Killed(signal) => (
            "WriterKilled",
            format!(
                "a program was ended by {} while it wrote {files} of dataset {dataset}: {named}; the source keeps what \
                 it had{kept}",
                signal_name(*signal)
            ),
        ),
        Fate::Conflict => (
            "WriteConflict",
            format!(
                "{files} of dataset {dataset} {} replaced by somebody else while written on node {node}: {named}; the \
                 source keeps the other's{kept}",
                if unreported.files == 1 { "was" } else { "were" }
            ),
        ),
    }
}

/// Where what was written can be found.
fn kept(unreported: &UnreportedLoss, identity: &Identity) -> String {
    let first = unreported.named.iter().find(|file| !file.kept.is_empty());
    let Some(first) = first else {
        return ", and what was written is gone".to_owned();
    };
    format!(
        "; what was written is kept for an hour on node {}, below the kubelet's directory: \
         plugins/csi.dlf.dev/staging/{}/kept/{} is {}",
        unreported.node,
        identity.uid,
        first.kept,
        file_name(&first.path)
    )
}

fn counted(files: u64) -> String {
    match files {
        1 => "1 file".to_owned(),
        many => format!("{} files", about(many)),
    }
}

fn signal_name(signal: u32) -> String {
    match signal {
        9 => "SIGKILL (9)".to_owned(),
        15 => "SIGTERM (15)".to_owned(),
        other => format!("signal {other}"),
    }
}

/// What a person can do about a refusal.
fn way_out(reason: &str) -> &'static str {
    match reason {
        "AccessDenied" => {
            "permit the keys to write (s3:PutObject), give others in spec.local.secret-name, or make the Dataset \
             readonly: \"true\""
        }
        "KeysRejected" => "correct accessKeyID and secretAccessKey in the Dataset or its Secret",
        "KeysExpired" => {
            "write new temporary keys, with their sessionToken, into the Secret that spec.local.secret-name names"
        }
        "NoSpace" => "delete what is not needed, or have the store's quota or limit raised",
        "StagingFull" => {
            "what waits on the node for its upload found no room: write less at a time or in order, or have \
             mounter.staging raised in the chart's values"
        }
        "FileTooLarge" => "the file is larger than an object can be: split it",
        "KeyTooLong" => "shorten the path: the store takes no key that long",
        "NoSuchBucket" => "make the bucket, or correct spec.local.bucket",
        "Unreachable" | "Timeout" | "SlowDown" | "SourceFailing" | "TlsFailed" => {
            "the store could not be reached or failed: condition SourceReachable and the store's log tell more; write \
             again"
        }
        "MountEnded" => "the mount ended while the file was open: write again",
        _ => "write again; the mounter's log on that node tells more",
    }
}

#[cfg(test)]
mod tests {
    use dlf_core::api::ApiGroup;

    use super::*;
    use crate::nodes::registry::Named;

    fn identity() -> Identity {
        Identity {
            group: ApiGroup::ALL[0],
            namespace: "ns".to_owned(),
            name: "books".to_owned(),
            uid: "0b1c".to_owned(),
        }
    }

    fn unreported(fate: Fate, files: u64, kept: &str) -> UnreportedLoss {
        UnreportedLoss {
            node: "node-1".into(),
            pods: Vec::new(),
            fate,
            files,
            named: vec![Named {
                path: "a/\u{1b}[2Jf".to_owned(),
                kept: kept.to_owned(),
            }],
        }
    }

    #[test]
    fn files_are_named_to_pods_of_the_datasets_own_namespace_only() {
        let pod = |namespace: &str, name: &str| PodRef {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: "u".to_owned(),
        };
        let unreported = UnreportedLoss {
            pods: vec![pod("other", "spy"), pod("ns", "writer"), pod("", "spy")],
            ..unreported(Fate::Conflict, 1, "")
        };
        let identity = identity();
        let told: Vec<_> = own_pods(&unreported, &identity)
            .map(|pod| &pod.name)
            .collect();
        assert_eq!(told, ["writer"]);
    }

    #[test]
    fn a_refusal_says_code_files_time_and_what_to_do() {
        let found = finding(&Refused {
            reason: "NoSpace".to_owned(),
            code: "QuotaExceeded".to_owned(),
            since_ms: 1_800_000_000_123,
            files: 345,
            paths: vec!["f\nWarning".to_owned()],
        });
        assert_eq!(found.reason, "NoSpace");
        for part in [
            "at least 200 files",
            "since 2027-01-15T08:00:00Z",
            "(NoSpace, in its words QuotaExceeded)",
            "\"f\\nWarning\"",
            "quota or limit raised",
        ] {
            assert!(found.message.contains(part), "{part}: {}", found.message);
        }
    }

    #[test]
    fn an_event_names_file_signal_and_where_it_is_kept() {
        let (reason, note) = event(&unreported(Fate::Killed(9), 1, "17-0-f"), &identity());
        assert_eq!(reason, "WriterKilled");
        for part in [
            "SIGKILL (9)",
            "\"a/\\u{1b}[2Jf\"",
            "an hour on node node-1",
            "staging/0b1c/kept/17-0-f",
        ] {
            assert!(note.contains(part), "{part}: {note}");
        }
        let (reason, note) = event(&unreported(Fate::Conflict, 2, ""), &identity());
        assert_eq!(reason, "WriteConflict");
        assert!(note.contains("what was written is gone"), "{note}");
        let refused = Fate::Refused("NoSpace".to_owned());
        let (reason, note) = event(&unreported(refused, 1, ""), &identity());
        assert_eq!(reason, "WritesRefused");
        assert!(
            note.contains("(NoSpace)") && note.contains("quota"),
            "{note}"
        );
    }
}
