//! One task, from message to answer.

use std::time::Duration;

use dlf_core::network::AddressRules;
use dlf_wire::dataset::v1::NetworkRules;
use dlf_wire::nodes::v1::{Done, Failure, ProbeNfs, Task, Warm, task};

use crate::failure::{DEADLINE_EXCEEDED, of_rule, unreachable};
use crate::progress::Progress;
use crate::{bucket, nfs, replicas, warm};

/// A deadline the operator does not give: no task should be without.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);
/// No task takes longer, whatever the operator says; a longer one goes on in another turn.
const DEADLINE_MAX: Duration = Duration::from_hours(1);

/// Does a task within its deadline. Dropping the future at any point leaves nothing that doing the
/// task again does not put right.
pub async fn run(task: Task, progress: &dyn Progress) -> Result<Done, Failure> {
    let deadline = match u64::from(task.deadline_ms) {
        0 => DEADLINE_DEFAULT,
        ms => Duration::from_millis(ms).min(DEADLINE_MAX),
    };
    let Some(kind) = task.kind else {
        let message = "this worker does not know the task: worker and operator differ in version";
        return Err(Failure::new("VersionMismatch", message));
    };
    let late = late(&kind, deadline);
    let work = dispatch(kind, task.network.unwrap_or_default(), deadline, progress);
    tokio::time::timeout(deadline, work)
        .await
        .unwrap_or(Err(late))
}

async fn dispatch(
    kind: task::Kind,
    network: NetworkRules,
    deadline: Duration,
    progress: &dyn Progress,
) -> Result<Done, Failure> {
    let NetworkRules {
        allow,
        deny,
        deny_sockets,
    } = network;
    let rules = AddressRules::parse(&allow, &deny, &deny_sockets).map_err(|e| of_rule(&e))?;
    match kind {
        task::Kind::ProbeObjectStore(probe) => {
            let store = bucket::open(probe.origin, rules, deadline)?;
            bucket::probe(&store, probe.writes).await
        }
        task::Kind::ProbeNfs(ProbeNfs { server, share }) => {
            nfs::probe(&server, &share, &rules).await
        }
        task::Kind::EnsureBucket(ensure) => {
            let store = bucket::open(ensure.origin.map(bucket::whole), rules, deadline)?;
            bucket::ensure(&store, &ensure.owner).await
        }
        task::Kind::EmptyBucket(empty) => {
            let store = bucket::open(empty.origin.map(bucket::whole), rules, deadline)?;
            bucket::empty(&store, &empty.owner, progress).await
        }
        task::Kind::Warm(Warm {
            origins,
            prefixes,
            start_after,
        }) => {
            let store = bucket::open(origins, rules, deadline)?;
            warm::warm(&store, &prefixes, &start_after, progress).await
        }
        task::Kind::AskReplicas(ask) => Ok(replicas::ask(ask.urls, &rules).await),
    }
}

/// What is said of a task that its deadline ended.
fn late(kind: &task::Kind, deadline: Duration) -> Failure {
    let silent = |place: &str| {
        let why = format!("it does not answer within {} s", deadline.as_secs());
        unreachable(place, why)
    };
    let endpoint = |origin: Option<&dlf_wire::dataset::v1::Origin>| {
        origin
            .map(|origin| origin.endpoint.clone())
            .unwrap_or_default()
    };
    match kind {
        task::Kind::ProbeObjectStore(probe) => silent(&endpoint(probe.origin.as_ref())),
        task::Kind::ProbeNfs(probe) => silent(&format!("NFS server {}", probe.server)),
        task::Kind::EnsureBucket(ensure) => silent(&endpoint(ensure.origin.as_ref())),
        task::Kind::EmptyBucket(_) => Failure::new(
            DEADLINE_EXCEEDED,
            "the bucket is not empty yet; emptying it goes on",
        ),
        task::Kind::Warm(_) => Failure::new(
            DEADLINE_EXCEEDED,
            "not everything is loaded into the cache yet; loading goes on",
        ),
        task::Kind::AskReplicas(_) => Failure::new(
            DEADLINE_EXCEEDED,
            "the replicas of the cache were not asked in time",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_newer_operator_asks_is_refused_with_a_reason() {
        let nothing = |_| {};
        let refused = run(Task::default(), &nothing).await.unwrap_err();
        assert_eq!(refused.reason, "VersionMismatch");
        let rules = NetworkRules {
            deny: vec!["everything".into()],
            ..NetworkRules::default()
        };
        let kind = Some(task::Kind::ProbeNfs(ProbeNfs::default()));
        let task = Task {
            network: Some(rules),
            kind,
            ..Task::default()
        };
        assert_eq!(
            run(task, &nothing).await.unwrap_err().reason,
            "VersionMismatch"
        );
    }
}
