use std::sync::Arc;

use dlf_core::api::{Dataset, DatasetInternal};

use crate::{
    controller::{
        Context,
        cache::{self, CacheState},
        names::Identity,
        owned::Owned,
    },
    nodes::registry::Refused,
};

/// Everything else that matters to a Dataset and is known before there is a plan.
pub(super) struct Found {
    pub(super) namespace_terminating: bool,
    /// The Dataset of the same name in the other group, when it comes first.
    pub(super) elder: Option<Arc<Dataset>>,
    /// The DatasetInternal of its name, whoever wrote it.
    pub(super) internal: Option<Arc<DatasetInternal>>,
    /// The state of its cache.
    pub(super) cache: Arc<CacheState>,
    /// The claim of its name.
    pub(super) claim: Option<Owned>,
    /// What mounts could not write.
    pub(super) refused: Option<Refused>,
}

pub(super) fn run(dataset: &Dataset, identity: &Identity, ctx: &Context) -> Found {
    let (namespace, handle) = (&identity.namespace, identity.handle());
    let cache = cache::state_of(dataset, identity, ctx);
    let fault = ctx.shared.nodes.not_serving(&handle, cache.serves());
    let cache = fault
        .and_then(|fault| cache.passed_by(fault))
        .map_or(cache, Arc::new);
    Found {
        namespace_terminating: ctx.is_terminating(namespace),
        elder: ctx.elder(dataset),
        internal: ctx.internal(namespace, &identity.name),
        cache,
        claim: ctx.shared.writer.index().get(&identity.claim()),
        refused: ctx.shared.nodes.refused(&handle),
    }
}
