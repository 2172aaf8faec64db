use std::{collections::BTreeSet, sync::Arc};

use dlf_core::api::Dataset;

use super::users;
use crate::{
    controller::{Context, names::Identity},
    nodes::registry::Counters,
};

/// Everything else that matters to a Dataset; later steps read nothing more.
pub(super) struct Found {
    pub(super) namespace_terminating: bool,
    /// The Dataset of the same name in the other group, when it comes first.
    pub(super) elder: Option<Arc<Dataset>>,
    /// Pods that use it, by name.
    pub(super) users: BTreeSet<String>,
    /// Nodes on which a pod has it mounted.
    pub(super) nodes: usize,
    /// What consumers did with it since it was made.
    pub(super) done: Counters,
}

pub(super) fn run(dataset: &Dataset, identity: &Identity, ctx: &Context) -> Found {
    let (namespace, handle) = (&identity.namespace, identity.handle());
    let elder = ctx.elder(dataset);
    let pods = &ctx.shared.pods;
    let labelled = match elder {
        // Pods say a name, and mean the elder's.
        Some(_) => BTreeSet::new(),
        None => pods.users(&(namespace.clone(), identity.name.clone())),
    };
    let mounted = ctx.shared.nodes.read(|nodes| nodes.consumers(&handle));
    let nodes: BTreeSet<&str> = mounted.iter().map(|one| one.node.as_ref()).collect();
    Found {
        namespace_terminating: ctx.is_terminating(namespace),
        elder,
        nodes: nodes.len(),
        users: users::of(labelled, &mounted, |pod| pods.watches(pod)),
        done: done(dataset, &handle, ctx),
    }
}

fn done(dataset: &Dataset, handle: &str, ctx: &Context) -> Counters {
    let usage = dataset
        .status
        .as_ref()
        .and_then(|status| status.usage.as_ref());
    let written = usage.map_or_else(Counters::default, |usage| Counters {
        bytes_read: usage.bytes_read,
        bytes_written: usage.bytes_written,
        ..Counters::default()
    });
    let nodes = &ctx.shared.nodes;
    nodes.update(|nodes| nodes.lifetime(handle, written))
}
