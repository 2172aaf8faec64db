use std::collections::{BTreeMap, BTreeSet};

use dlf_core::plugin::{FileSystem, OriginRef, SecretEntry, StoragePlan, Volume};
use dlf_wire::dataset::v1::{Keys, Origin};

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;

use super::{kept, keys::Secrets, validate::Valid};
use crate::controller::{
    Context,
    error::{Doing, Problem, ReconcileError},
    names::Identity,
};

/// What the plan's references stand for.
pub(super) struct Found {
    /// Origins with keys, or what is missing.
    pub(super) origins: Result<Vec<Origin>, Problem>,
    /// Content of Secret `NAME`, or what is missing.
    pub(super) consumer_secret: Result<BTreeMap<String, String>, Problem>,
}

pub(super) async fn run(
    valid: &Valid,
    identity: &Identity,
    ctx: &Context,
) -> Result<Found, ReconcileError> {
    let secrets = secrets(&valid.plan, identity, ctx).await?;
    Ok(Found {
        origins: origins(&valid.plan)
            .iter()
            .map(|origin| resolve(origin, &secrets))
            .collect(),
        consumer_secret: entries(&valid.plan, &secrets),
    })
}

/// The Secrets that a plan refers to.
pub(super) async fn secrets(
    plan: &StoragePlan,
    identity: &Identity,
    ctx: &Context,
) -> Result<Secrets, ReconcileError> {
    Secrets::get(names(plan), identity, ctx).await
}

/// Origins as they were last resolved, for when the user's Secret has gone before the Dataset.
pub(super) async fn kept_origins(
    identity: &Identity,
    ctx: &Context,
) -> Result<Option<Vec<Origin>>, ReconcileError> {
    let key = identity.resolved_secret(&ctx.shared.namespace);
    let api: Api<Secret> = Api::namespaced(ctx.shared.client.clone(), &key.namespace);
    let secret = api
        .get_opt(&key.name)
        .await
        .doing("reading the resolved origins")?;
    Ok(secret.as_ref().and_then(kept::read))
}

/// Origins of the plan's mount; none when it is not an object store.
pub(super) fn origins(plan: &StoragePlan) -> &[OriginRef] {
    let Volume::Mount(mount) = &plan.volume;
    match &mount.file_system {
        FileSystem::ObjectStore(store) => &store.origins,
        FileSystem::Nfs(_) | FileSystem::HostPath(_) => &[],
    }
}

fn names(plan: &StoragePlan) -> BTreeSet<String> {
    let of_origins = origins(plan)
        .iter()
        .flat_map(|origin| [&origin.key_secret, &origin.ca_secret])
        .flatten();
    let of_entries = plan.secret.values().filter_map(|entry| match entry {
        SecretEntry::Key { secret, .. } => Some(secret),
        SecretEntry::Literal(_) => None,
    });
    of_origins.chain(of_entries).cloned().collect()
}

/// An origin with its keys and its CA.
pub(super) fn resolve(origin: &OriginRef, secrets: &Secrets) -> Result<Origin, Problem> {
    let keys = origin
        .key_secret
        .as_ref()
        .map(|secret| -> Result<Keys, Problem> {
            Ok(Keys {
                access_key_id: secrets.text(secret, "accessKeyID")?.trim().to_owned(),
                secret_access_key: secrets.text(secret, "secretAccessKey")?.trim().to_owned(),
                session_token: String::new(),
            })
        })
        .transpose()?;
    let ca_pem = origin
        .ca_secret
        .as_ref()
        .map(|secret| secrets.text(secret, "ca.crt"))
        .transpose()?;
    Ok(Origin {
        endpoint: origin.endpoint.clone(),
        bucket: origin.bucket.clone(),
        prefix: origin.prefix.clone(),
        region: origin.region.clone(),
        // A Secret with two empty values says the same as no Secret.
        keys: keys.filter(|keys| !keys.access_key_id.is_empty()),
        ca_pem: ca_pem.unwrap_or_default(),
    })
}

fn entries(plan: &StoragePlan, secrets: &Secrets) -> Result<BTreeMap<String, String>, Problem> {
    plan.secret
        .iter()
        .map(|(key, entry)| {
            let value = match entry {
                SecretEntry::Literal(value) => value.clone(),
                SecretEntry::Key { secret, key } => secrets.text(secret, key)?,
            };
            Ok((key.clone(), value))
        })
        .collect()
}
