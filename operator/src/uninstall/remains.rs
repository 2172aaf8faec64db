//! What the operator made: for Datasets in all namespaces, and for itself in its own.

use dlf_core::{
    api::{ApiGroup, Dataset, DatasetInternal},
    names::{FINALIZER, LABEL_DATASET_UID},
};
use k8s_openapi::api::{
    apps::v1::DaemonSet,
    coordination::v1::Lease,
    core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
    core::PartialObjectMeta,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Doing, UninstallError};
use crate::controller::owned::OwnedKind;

/// Objects in one answer of the API server.
const PAGE: u32 = 500;
/// Of what runs the mounter.
const MOUNTERS: &str = "app.kubernetes.io/name=dlf,app.kubernetes.io/component=mounter";
/// Secret and ConfigMap of the certificate authority.
const AUTHORITY: &str = "dlf-ca";
const LEASE: &str = "dlf-operator";

/// An object that is not there is gone.
pub(super) fn gone<T>(deleted: kube::Result<T>) -> kube::Result<()> {
    match deleted {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

/// Takes it away. Datasets come last: a run that was cut off finds the rest by them again.
pub(super) async fn remove(
    client: &Client,
    namespace: &str,
    groups: &[ApiGroup],
) -> Result<(), UninstallError> {
    remove_own(client, namespace).await?;
    for kind in OwnedKind::ALL {
        remove_labelled(client, &kind.resource())
            .await
            .doing("removing what Datasets made")?;
    }
    for &group in groups {
        let doing = "removing DatasetInternals";
        let internals: Api<DatasetInternal> = Api::all_with(client.clone(), &group);
        for found in everything(&internals, None).await.doing(doing)? {
            let api: Api<DatasetInternal> = namespaced(client, &found, group);
            gone(
                api.delete(&found.name_any(), &DeleteParams::default())
                    .await,
            )
            .doing(doing)?;
        }
        release(client, group)
            .await
            .doing("taking our finalizer off Datasets")?;
    }
    Ok(())
}

/// What is in the operator's own namespace and not in the chart.
async fn remove_own(client: &Client, namespace: &str) -> Result<(), UninstallError> {
    let doing = "removing mounters, certificates and the lease";
    let params = DeleteParams::default();
    let mounters: Api<DaemonSet> = Api::namespaced(client.clone(), namespace);
    mounters
        .delete_collection(&params, &ListParams::default().labels(MOUNTERS))
        .await
        .doing(doing)?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    gone(secrets.delete(AUTHORITY, &params).await).doing(doing)?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    gone(maps.delete(AUTHORITY, &params).await).doing(doing)?;
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    gone(leases.delete(LEASE, &params).await).doing(doing)
}

async fn remove_labelled(client: &Client, kind: &ApiResource) -> kube::Result<()> {
    let all: Api<DynamicObject> = Api::all_with(client.clone(), kind);
    for found in everything(&all, Some(LABEL_DATASET_UID)).await? {
        let api = match found.namespace() {
            Some(namespace) => {
                Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, kind)
            }
            None => all.clone(),
        };
        gone(
            api.delete(&found.name_any(), &DeleteParams::default())
                .await,
        )?;
    }
    Ok(())
}

/// Takes our finalizer off every Dataset; one that was being deleted goes.
async fn release(client: &Client, group: ApiGroup) -> kube::Result<()> {
    let all: Api<Dataset> = Api::all_with(client.clone(), &group);
    for found in everything(&all, None).await? {
        let kept: Vec<_> = found
            .finalizers()
            .iter()
            .filter(|finalizer| *finalizer != FINALIZER)
            .collect();
        if kept.len() == found.finalizers().len() {
            continue;
        }
        let patch = json!({ "metadata": { "finalizers": kept, "resourceVersion": found.resource_version() } });
        let api: Api<Dataset> = namespaced(client, &found, group);
        let patched = api
            .patch_metadata(
                &found.name_any(),
                &PatchParams::default(),
                &Patch::Merge(patch),
            )
            .await;
        gone(patched)?;
    }
    Ok(())
}

fn namespaced<K>(client: &Client, found: &impl ResourceExt, group: ApiGroup) -> Api<K>
where
    K: Resource<DynamicType = ApiGroup, Scope = kube::core::DynamicResourceScope>,
{
    Api::namespaced_with(
        client.clone(),
        &found.namespace().unwrap_or_default(),
        &group,
    )
}

/// The metadata of all objects of a kind, page by page.
async fn everything<K>(api: &Api<K>, label: Option<&str>) -> kube::Result<Vec<PartialObjectMeta<K>>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut params = ListParams::default().limit(PAGE);
    if let Some(label) = label {
        params = params.labels(label);
    }
    let mut all = Vec::new();
    loop {
        let page = api.list_metadata(&params).await?;
        all.extend(page.items);
        match page.metadata.continue_ {
            Some(next) if !next.is_empty() => params.continue_token = Some(next),
            _ => return Ok(all),
        }
    }
}
