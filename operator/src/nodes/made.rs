//! Directories that a node made for the subpath of a pod: a typing error would otherwise be an empty
//! directory that nobody asked for.

use async_trait::async_trait;
use dlf_wire::nodes::v1::{Made, PodRef};

use super::authorise::share;
use super::limits;
use super::registry::{Lookup, Peer};
use super::shared::Shared;

/// A path of which more is shown is not read.
const SHOWN_CHARS_MAX: usize = 256;

/// Who writes events of pods.
#[async_trait]
pub trait TellPod: Send + Sync {
    /// Says so to whoever looks at the pod; that this fails is not worth a retry.
    async fn subpath_made(&self, pod: &PodRef, note: &str);
}

/// Tells the pod, if it is one of this node that has such a subpath. What is said of it comes from the
/// pod, and never from the node.
pub(super) async fn tell(shared: &Shared, peer: &Peer, made: Made) {
    let handle = &made.volume_handle;
    let Some(pod) = made.pod.filter(limits::is_pod) else {
        return;
    };
    if !limits::is_handle(handle) {
        return;
    }
    let Lookup::Ready(config) = shared.hub.read(|registry| registry.lookup(handle)) else {
        return;
    };
    let Ok(share) = share(shared.pods.as_ref(), &peer.node, &config, &pod).await else {
        return;
    };
    if share.subpath.is_empty() || share.readonly {
        return;
    }
    let shown: String = share.subpath.chars().take(SHOWN_CHARS_MAX).collect();
    let note = format!(
        "Dataset {} had no directory {shown:?}, which the pod's subpath annotation names: it was made; if it is not meant, remove it \
         and correct the annotation, or forgo writing (dataset.N.readonly) to have a missing one refused",
        config.name
    );
    shared.tell.subpath_made(&pod, &note).await;
}
