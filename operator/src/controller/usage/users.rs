use std::collections::BTreeSet;

use dlf_core::{
    api::Dataset,
    condition::{ConditionType, Finding},
};
use kube::Api;

use crate::{
    controller::{
        Context,
        error::{Doing, ReconcileError},
        names::Identity,
    },
    nodes::registry::Consumer,
    pods::{PodKey, SlimPod},
};

/// Pods that use a Dataset, by name.
pub(in crate::controller) fn of(
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> BTreeSet<String> {
    let pods = &ctx.shared.pods;
    let labelled = match ctx.elder(dataset) {
        // Pods say a name, and mean the elder's.
        Some(_) => BTreeSet::new(),
        None => pods.users(&(identity.namespace.clone(), identity.name.clone())),
    };
    let handle = identity.handle();
    let mounted = ctx.shared.nodes.read(|nodes| nodes.consumers(&handle));
    all(labelled, &mounted, |pod| pods.watches(pod))
}

/// Pods that use a dataset: those whose labels say so, and those that nodes have it mounted for. A
/// pod that is watched counts as the watch has it: finished or on its way out it may still be on
/// its node, and uses nothing.
fn all(
    labelled: BTreeSet<String>,
    mounted: &[Consumer],
    watches: impl Fn(&PodKey) -> bool,
) -> BTreeSet<String> {
    let mut users = labelled;
    for consumer in mounted {
        let pod = (consumer.pod.namespace.clone(), consumer.pod.name.clone());
        if !watches(&pod) {
            users.insert(pod.1);
        }
    }
    users
}

/// Users without the pods that nodes told of and that have gone since: a node whose driver is away cannot
/// tell. Asks the API server for those that are not watched, until it finds one.
pub(in crate::controller) async fn that_exist(
    users: BTreeSet<String>,
    namespace: &str,
    ctx: &Context,
) -> Result<BTreeSet<String>, ReconcileError> {
    let watched = |pod: &String| {
        ctx.shared
            .pods
            .watches(&(namespace.to_owned(), pod.clone()))
    };
    if users.iter().any(watched) {
        return Ok(users);
    }
    let api = Api::<SlimPod>::namespaced(ctx.shared.client.clone(), namespace);
    let mut users = users.into_iter();
    let mut there = BTreeSet::new();
    for name in users.by_ref() {
        let found = api.get_opt(&name).await;
        let found = found.doing("looking for a pod that had a dataset mounted")?;
        if found.is_some_and(|pod| pod.is_using()) {
            there.insert(name);
            break;
        }
    }
    there.extend(users);
    Ok(there)
}

/// More names than this make a message nobody reads.
const NAMED_USERS_MAX: usize = 5;

/// Who uses a dataset, as a condition.
#[must_use]
pub(in crate::controller) fn in_use(users: &BTreeSet<String>) -> Finding {
    if users.is_empty() {
        return Finding::new(ConditionType::InUse, false, "NotUsed", "no pod uses it");
    }
    let named: Vec<&str> = users
        .iter()
        .take(NAMED_USERS_MAX)
        .map(String::as_str)
        .collect();
    let more = users.len() - named.len();
    let rest = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    let message = format!(
        "used by pod{} {}{rest}",
        if users.len() == 1 { "" } else { "s" },
        named.join(", ")
    );
    Finding::new(ConditionType::InUse, true, "PodsUseIt", message)
}

#[cfg(test)]
mod tests {
    use dlf_wire::nodes::v1::PodRef;

    use super::*;

    #[test]
    fn a_pod_that_mounts_the_claim_by_itself_is_a_user_and_a_finished_one_is_none() {
        let consumer = |name: &str| Consumer {
            node: "n".into(),
            pod: PodRef {
                namespace: "ns".into(),
                name: name.into(),
                uid: "u".into(),
            },
        };
        let labelled = BTreeSet::from(["waiting".to_owned()]);
        let mounted = [consumer("by-itself"), consumer("finished")];
        let users = all(labelled, &mounted, |pod| pod.1 == "finished");
        assert_eq!(
            users.into_iter().collect::<Vec<_>>(),
            ["by-itself", "waiting"]
        );
    }
}
