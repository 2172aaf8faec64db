use kube::core::params::ListParams;
use serde_json::Value;

use crate::{
    cluster::{Cluster, Kind, Looked},
    datasets,
    datasets::View,
};

/// Everything there is to know of a Dataset, as far as the user may look.
pub(super) struct Facts {
    pub(super) view: View,
    /// The effective source; the same as `view` for a user who may see nothing else.
    pub(super) internal: Option<View>,
    pub(super) claim: Looked<Option<Value>>,
    pub(super) volume: Looked<Option<Value>>,
    /// All Datasets, or those of the same namespace.
    pub(super) others: Looked<Vec<View>>,
    /// Whether `others` are all of the cluster.
    pub(super) everywhere: bool,
    pub(super) events: Looked<Vec<Value>>,
}

impl Facts {
    /// Asks for all of it; what cannot be had is said where it would stand.
    pub(super) async fn gather(cluster: &Cluster, view: View) -> Self {
        let namespace = Some(view.namespace());
        let internal = cluster
            .get(Kind::internal(view.group), namespace, view.name())
            .await;
        let claim = cluster.get(Kind::CLAIM, namespace, view.name()).await;
        let volume = match claim.as_ref().ok().and_then(Option::as_ref) {
            Some(claim) => match claim["spec"]["volumeName"].as_str() {
                Some(volume) => cluster.get(Kind::VOLUME, None, volume).await,
                None => Ok(None),
            },
            None => Ok(None),
        };
        let about = format!(
            "involvedObject.kind=Dataset,involvedObject.name={}",
            view.name()
        );
        let about = ListParams::default().fields(&about);
        let events = cluster.list(Kind::EVENT, namespace, about).await;
        let (others, everywhere) = match datasets::list(cluster, None, None).await {
            Err(error) if error.is_forbidden() => {
                (datasets::list(cluster, namespace, None).await, false)
            }
            all => (all, true),
        };
        Self {
            internal: internal.ok().flatten().and_then(View::read),
            claim: claim.into(),
            volume: volume.into(),
            others: others.into(),
            everywhere,
            events: events.into(),
            view,
        }
    }
}
