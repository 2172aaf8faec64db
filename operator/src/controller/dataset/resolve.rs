//! The Secrets that a plan refers to, and what its references stand for.

use std::collections::{BTreeMap, BTreeSet};

use dlf_core::{
    plugin::{CacheKeys, CacheOrigin, FileSystem, OriginRef, SecretEntry, StoragePlan, Volume},
    source::{ObjectStoreSource, keys},
};
use dlf_wire::dataset::v1::{Keys, Origin};

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;

use super::{keys::Secrets, plan::Plan, validate::Valid};
use crate::controller::{
    Context,
    error::{Doing, Problem, ReconcileError},
    names::Identity,
};

/// What the plan's references stand for.
pub(super) struct Resolved {
    /// Origins with keys, or what is missing.
    pub(super) origins: Result<Vec<Origin>, Problem>,
    /// Content of Secret `NAME`, or what is missing; none where the user's Secret of keys has that name,
    /// and is what consumers read.
    pub(super) consumer_secret: Option<Result<BTreeMap<String, String>, Problem>>,
}

pub(super) async fn run(
    plan: &Plan,
    valid: &Valid,
    identity: &Identity,
    ctx: &Context,
) -> Result<Resolved, ReconcileError> {
    let plan = &plan.storage;
    let (mut names, own) = (names(plan), identity.source_secret());
    let inline = valid.own.inline_keys();
    if inline.is_some() {
        // It is written in this very turn.
        names.remove(&own);
    }
    let mut secrets = Secrets::get(names, identity, ctx).await?;
    if let Some(keys) = inline {
        secrets.insert(&own, keys);
    }
    let origins: Result<Vec<_>, _> = origins(plan)
        .iter()
        .map(|origin| resolve(origin, &secrets))
        .collect();
    Ok(Resolved {
        origins: origins.map(|origins| through(valid.caches(), origins)),
        consumer_secret: (!is_the_users(plan, identity)).then(|| entries(plan, &secrets)),
    })
}

/// The origins of a plan for a bucket at its cache's endpoint, with all that the cache's plan says of
/// where it answers.
fn through(caches: &[CacheOrigin], planned: Vec<Origin>) -> Vec<Origin> {
    let Some((effective, behind)) = planned.split_first() else {
        return planned;
    };
    // Without a source behind it, what was planned is the source.
    if caches.is_empty() || behind.is_empty() {
        return planned;
    }
    let origin = |cache: &CacheOrigin| Origin {
        endpoint: cache.endpoint.clone(),
        keys: match cache.keys {
            CacheKeys::Source => effective.keys.clone(),
            CacheKeys::None => None,
        },
        shards: cache.shards.clone(),
        shard_bytes: cache.shard_bytes,
        ..effective.clone()
    };
    let before = caches.iter().map(origin);
    before.chain(behind.iter().cloned()).collect()
}

/// The Secrets that a plan refers to.
pub(super) async fn secrets(
    plan: &StoragePlan,
    identity: &Identity,
    ctx: &Context,
) -> Result<Secrets, ReconcileError> {
    Secrets::get(names(plan), identity, ctx).await
}

/// A source with its keys, for who reaches it besides its mounts, or what is missing.
pub(in crate::controller) async fn source_of(
    source: &ObjectStoreSource,
    identity: &Identity,
    ctx: &Context,
) -> Result<Result<Origin, Problem>, ReconcileError> {
    let Some(origin) = OriginRef::of(source) else {
        let message = "the keys of the source stand in no Secret yet";
        return Ok(Err(Problem::pending("SecretMissing", message)));
    };
    let names = [&origin.key_secret, &origin.ca_secret]
        .into_iter()
        .flatten();
    // The Dataset's own reconcile names them, and is woken when they change.
    let secrets = Secrets::read(names.cloned(), identity, ctx).await?;
    Ok(resolve(&origin, &secrets))
}

/// The origins of who reads a source through these caches.
pub(in crate::controller) fn read_through(caches: &[CacheOrigin], source: &Origin) -> Vec<Origin> {
    through(caches, vec![source.clone(), source.clone()])
}

/// The Secret of origins as they were last resolved, for when the user's has gone before the Dataset.
pub(super) async fn kept_secret(
    identity: &Identity,
    ctx: &Context,
) -> Result<Option<Secret>, ReconcileError> {
    let key = identity.resolved_secret(&ctx.shared.namespace);
    let api: Api<Secret> = Api::namespaced(ctx.shared.client.clone(), &key.namespace);
    api.get_opt(&key.name)
        .await
        .doing("reading the resolved origins")
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

/// Whether the Secret that consumers would read is the user's own.
fn is_the_users(plan: &StoragePlan, identity: &Identity) -> bool {
    let is_named = |entry: &SecretEntry| matches!(entry, SecretEntry::Key { secret, .. } if *secret == identity.name);
    plan.secret.values().any(is_named)
}

/// An origin with its keys and its CA.
pub(super) fn resolve(origin: &OriginRef, secrets: &Secrets) -> Result<Origin, Problem> {
    let keys = origin
        .key_secret
        .as_ref()
        .map(|secret| -> Result<Keys, Problem> {
            let text = |key: &str| Ok(secrets.text(secret, key)?.trim().to_owned());
            // In this order: of a Secret that is missing, the key that everybody needs is named.
            let access_key_id = text(keys::ACCESS_KEY_ID)?;
            let secret_access_key = text(keys::SECRET_ACCESS_KEY)?;
            let token = secrets.optional(secret, keys::SESSION_TOKEN)?;
            Ok(Keys {
                access_key_id,
                secret_access_key,
                session_token: token.unwrap_or_default().trim().to_owned(),
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
        ..Origin::default()
    })
}

fn entries(plan: &StoragePlan, secrets: &Secrets) -> Result<BTreeMap<String, String>, Problem> {
    let entries = plan.secret.iter().map(|(name, entry)| {
        let value = match entry {
            SecretEntry::Literal(value) => Some(value.clone()),
            SecretEntry::Key {
                secret,
                key,
                optional: true,
            } => secrets.optional(secret, key)?,
            SecretEntry::Key { secret, key, .. } => Some(secrets.text(secret, key)?),
        };
        Ok(value.map(|value| (name.clone(), value)))
    });
    entries.filter_map(Result::transpose).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(endpoint: &str) -> Origin {
        Origin {
            endpoint: endpoint.to_owned(),
            bucket: "books".to_owned(),
            keys: Some(Keys::default()),
            ..Origin::default()
        }
    }

    #[test]
    fn reads_go_where_the_plan_of_the_cache_says_before_they_go_to_the_source() {
        let mut sharded = CacheOrigin::at("http://cache");
        sharded.shards = vec!["http://cache-0".to_owned(), "http://cache-1".to_owned()];
        sharded.shard_bytes = 1 << 20;
        sharded.keys = CacheKeys::None;
        let caches = [sharded, CacheOrigin::at("http://second")];
        let origins = through(&caches, vec![at("http://cache"), at("http://s3")]);
        let [first, second, source] = &origins[..] else {
            panic!("{origins:?}")
        };
        assert_eq!(
            (&first.shards, first.shard_bytes),
            (&caches[0].shards, 1 << 20)
        );
        assert!(first.keys.is_none() && first.bucket == "books");
        let mut plain = at("http://second");
        plain.shard_bytes = caches[1].shard_bytes;
        assert_eq!(*second, plain);
        assert_eq!(*source, at("http://s3"));
        for planned in [vec![at("http://s3")], Vec::new()] {
            assert_eq!(through(&caches, planned.clone()), planned);
        }
    }
}
