use std::{collections::BTreeSet, sync::Arc};

use dlf_core::api::Dataset;

use crate::controller::{Context, names::Identity};

/// Everything else that matters to a Dataset; later steps read nothing more.
pub(super) struct Found {
    pub(super) namespace_terminating: bool,
    /// The Dataset of the same name in the other group.
    pub(super) rival: Option<Arc<Dataset>>,
    /// Pods that use it, by name.
    pub(super) users: BTreeSet<String>,
}

pub(super) fn run(identity: &Identity, ctx: &Context) -> Found {
    let Identity {
        namespace,
        name,
        group,
        ..
    } = identity;
    Found {
        namespace_terminating: ctx.is_terminating(namespace),
        rival: ctx.dataset(group.other(), namespace, name),
        users: ctx.shared.pods.users(&(namespace.clone(), name.clone())),
    }
}
