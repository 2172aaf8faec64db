//! Keeps one DaemonSet per revision of the mounter for as long as it is of use.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::{
    Client, ResourceExt,
    api::{Api, DeleteParams, ListParams, Patch, PatchParams},
    runtime::watcher::{self, Event},
};
use tracing::{info, warn};

use super::template::{REVISION_LABEL, Template};
use crate::{nodes::Hub, pods::SlimPod, watches::events};

const FIELD_MANAGER: &str = "dlf-operator";
/// How often what failed is tried again and an unused revision looked for, in memory.
const INTERVAL: Duration = Duration::from_secs(15);
/// A revision goes after so many looks without a mount: a mount that is being made is reported
/// only when it is there.
const UNUSED_LOOKS: u32 = 4;

/// A DaemonSet of the mounter.
#[derive(Debug, Default)]
struct Seen {
    revision: String,
    /// Changes with its specification, not with its status.
    generation: Option<i64>,
    unused_looks: u32,
}

/// Keeps this revision's DaemonSet, tells nodes to use it, and deletes older ones once no node has
/// a mount in them. Runs for ever; asks nothing of the API server while nothing changes.
pub async fn keep_mounters(client: Client, namespace: String, template: Template, nodes: Arc<Hub>) {
    let mut keeper = Keeper {
        sets: Api::namespaced(client.clone(), &namespace),
        pods: Api::namespaced(client, &namespace),
        namespace,
        template,
        nodes,
        seen: BTreeMap::new(),
        applied: None,
    };
    let labelled = watcher::Config::default().labels(REVISION_LABEL);
    let changes = events(keeper.sets.clone(), labelled);
    pin_mut!(changes);
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            Some(change) = changes.next() => keeper.note(change),
            _ = interval.tick() => keeper.delete_unused().await,
        }
        keeper.apply_if_changed().await;
    }
}

struct Keeper {
    sets: Api<DaemonSet>,
    pods: Api<SlimPod>,
    namespace: String,
    template: Template,
    nodes: Arc<Hub>,
    seen: BTreeMap<String, Seen>,
    /// Generation that our own was applied with; none until it was.
    applied: Option<i64>,
}

impl Keeper {
    fn note(&mut self, change: watcher::Result<Event<DaemonSet>>) {
        match change {
            Ok(Event::Init) => self.seen.clear(),
            Ok(Event::InitApply(set) | Event::Apply(set)) => {
                let seen = self.seen.entry(set.name_any()).or_default();
                seen.revision = set
                    .labels()
                    .get(REVISION_LABEL)
                    .cloned()
                    .unwrap_or_default();
                seen.generation = set.metadata.generation;
            }
            Ok(Event::Delete(set)) => {
                self.seen.remove(&set.name_any());
            }
            Ok(Event::InitDone) => {}
            Err(error) => warn!(%error, "the watch of mounters failed and is tried again"),
        }
    }

    /// Makes our own, and puts right what somebody deleted or edited.
    async fn apply_if_changed(&mut self) {
        let found = self.seen.get(&self.template.name());
        if self.applied.is_some() && found.and_then(|seen| seen.generation) == self.applied {
            return;
        }
        let (name, params) = (
            self.template.name(),
            PatchParams::apply(FIELD_MANAGER).force(),
        );
        let wanted = Patch::Apply(self.template.daemon_set(&self.namespace));
        match self.sets.patch(&name, &params, &wanted).await {
            Ok(set) => {
                self.applied = set.metadata.generation;
                self.note(Ok(Event::Apply(set)));
                self.nodes.set_mounter(self.template.revision());
            }
            Err(error) => {
                self.applied = None;
                warn!(%error, "the mounter's DaemonSet was not applied and is tried again");
            }
        }
    }

    async fn delete_unused(&mut self) {
        let mut unused = Vec::new();
        for (name, seen) in &mut self.seen {
            let mounts = |revision: &str| self.nodes.read(|registry| registry.mounts_in(revision));
            if seen.revision == self.template.revision() || mounts(&seen.revision) > 0 {
                seen.unused_looks = 0;
                continue;
            }
            seen.unused_looks += 1;
            if seen.unused_looks >= UNUSED_LOOKS {
                unused.push((name.clone(), seen.revision.clone()));
            }
        }
        for (name, revision) in unused {
            if let Err(error) = self.delete(&name, &revision).await {
                warn!(%error, %revision, "an older mounter was not deleted and is looked at again");
            }
        }
    }

    /// Deletes a revision, unless a node that runs it has not told us yet what is mounted there.
    async fn delete(&self, name: &str, revision: &str) -> kube::Result<()> {
        let selected = ListParams::default().labels(&format!("{REVISION_LABEL}={revision}"));
        let pods = self.pods.list(&selected).await?;
        let on_node = |pod: &SlimPod| pod.spec.node_name.clone();
        let silent = self.nodes.read(|registry| {
            let mut running = pods.iter().filter_map(on_node);
            running.find(|node| !registry.has_reported(node))
        });
        if let Some(node) = silent {
            info!(%revision, %node, "an older mounter stays until this node says what is mounted there");
            return Ok(());
        }
        info!(%revision, "no node has a mount in this mounter any more: deleting it");
        match self.sets.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop),
        }
    }
}
