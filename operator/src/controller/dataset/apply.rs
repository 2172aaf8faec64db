//! Writing what was built, and nothing that is as it should be.

use std::sync::Arc;

use dlf_core::{
    api::{Dataset, DatasetInternal},
    plugin::StoragePlan,
};
use dlf_wire::dataset::v1::{DatasetConfig, Origin};

use super::{
    build::{self, Built},
    finalizer, internal, kept,
};
use crate::controller::{
    Context,
    error::{Doing, Problem, ReconcileError, refusal},
    names::Identity,
    owned::{Ensured, ObjectKey, Owned, OwnedKind, Owner},
};

/// What became of what was built.
pub(super) struct Applied {
    /// What stands in the way of mounts, if anything does.
    pub(super) problem: Option<Problem>,
    /// What stands in the way of pods that have it in their environment.
    pub(super) environment: Option<Problem>,
    /// What nodes are to work with; none while something of it is missing.
    pub(super) node_config: Option<DatasetConfig>,
    /// What was planned; none when nothing could be.
    pub(super) planned: Option<Planned>,
    /// The DatasetInternal as it is now; none when none could be written.
    pub(super) internal: Option<Arc<DatasetInternal>>,
}

/// What later steps need of the plan.
pub(super) struct Planned {
    pub(super) plan: StoragePlan,
    pub(super) origins: Vec<Origin>,
    /// Type and address, for the Source column.
    pub(super) source: String,
    /// What the claim is to have, and what it was made with if that is something else.
    pub(super) size: (String, Option<String>),
}

impl Applied {
    /// Whether anything that should be there is not.
    pub(super) const fn is_blocked(&self) -> bool {
        self.problem.is_some() || self.environment.is_some()
    }

    pub(super) const fn failed(problem: Problem) -> Self {
        Self {
            problem: Some(problem),
            environment: None,
            planned: None,
            node_config: None,
            internal: None,
        }
    }
}

/// Writes the DatasetInternal, then claim and volume, whatever the source's health, then what consumers
/// read.
pub(super) async fn run(
    built: Built,
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<Applied, ReconcileError> {
    finalizer::add(dataset, identity, ctx).await?;
    if let Some(problem) = write_keys(built.inline_keys, identity, ctx).await? {
        return Ok(Applied::failed(problem));
    }
    let internal = match built.internal {
        Some(desired) => match internal::ensure(desired, identity, ctx).await? {
            Ok(written) => Some(written),
            Err(problem) => return Ok(Applied::failed(problem)),
        },
        None => ctx.internal(&identity.namespace, &identity.name),
    };
    // Before the source is asked for a bucket: who deletes that must have its keys.
    if built.node_config.is_ok()
        && let Some(problem) = keep(&built.origins, built.keeps_origins, identity, ctx).await?
    {
        return Ok(Applied::failed(problem));
    }
    let mut obstacles = Obstacles::default();
    obstacles.note(claim_and_volume(built.claim, built.volume, identity, ctx).await?);
    let mut node_config = None;
    match built.node_config {
        Ok(config) => node_config = Some(config),
        Err(problem) => obstacles.note(Some(problem)),
    }
    let mut of_environment = Obstacles::default();
    let config_map = identity.config_map();
    of_environment.note(ensure(&config_map, built.config_map, identity, ctx).await?);
    match built.consumer_secret {
        Some(Ok(secret)) => {
            let key = identity.consumer_secret();
            of_environment.note(ensure(&key, secret, identity, ctx).await?);
        }
        Some(Err(problem)) => of_environment.note(Some(problem)),
        None => {}
    }
    Ok(Applied {
        problem: obstacles.0,
        environment: of_environment.0,
        planned: Some(Planned {
            plan: built.plan,
            origins: built.origins,
            source: built.source,
            size: built.size,
        }),
        node_config,
        internal,
    })
}

/// Keys that were written into the Dataset once are kept no longer than they stand there.
async fn write_keys(
    secret: Option<serde_json::Value>,
    identity: &Identity,
    ctx: &Context,
) -> Result<Option<Problem>, ReconcileError> {
    let (key, writer) = (identity.inline_keys(), &ctx.shared.writer);
    let Some(secret) = secret else {
        let is_ours = |owned: &Owned| owned.dataset_uid == identity.uid && !owned.terminating;
        if writer.index().get(&key).as_ref().is_some_and(is_ours) {
            let removed = writer.remove(&key, &identity.uid).await;
            removed.doing("deleting the Secret of keys that are inline no longer")?;
        }
        return Ok(None);
    };
    match writer.ensure(&key, secret, &owner(identity, ctx)).await {
        Ok(Ensured::Foreign) => Ok(Some(Problem::pending(
            "NameTaken",
            format!(
                "Secret {} exists and was not made by this Dataset, whose inline keys would go there; rename or \
                 delete it, or name a Secret of yours in spec.local.secret-name",
                key.name
            ),
        ))),
        // Made again when it has gone.
        Ok(Ensured::Unchanged | Ensured::Written | Ensured::Terminating) => Ok(None),
        Err(error) => refusal(error, "Secret", &key.name)
            .doing("writing the Secret of inline keys")
            .map(Some),
    }
}

/// Keys are written down a second time only for as long as they may be needed after the user's
/// Secret has gone.
async fn keep(
    origins: &[Origin],
    needed: bool,
    identity: &Identity,
    ctx: &Context,
) -> Result<Option<Problem>, ReconcileError> {
    let key = identity.resolved_secret(&ctx.shared.namespace);
    let writer = &ctx.shared.writer;
    if needed {
        let secret = kept::secret(identity, &key.namespace, origins);
        return ensure(&key, secret, identity, ctx).await;
    }
    if writer.index().get(&key).is_some() {
        writer
            .remove(&key, &identity.uid)
            .await
            .doing("deleting keys that are kept no longer")?;
    }
    Ok(None)
}

/// The first thing in the way.
#[derive(Default)]
struct Obstacles(Option<Problem>);

impl Obstacles {
    fn note(&mut self, problem: Option<Problem>) {
        if self.0.is_none() {
            self.0 = problem;
        }
    }
}

/// The claim first, since the volume names its uid, then the volume; in a later turn, when the binder
/// knows that, the two are bound.
async fn claim_and_volume(
    claim: serde_json::Value,
    volume: serde_json::Value,
    identity: &Identity,
    ctx: &Context,
) -> Result<Option<Problem>, ReconcileError> {
    let (claim_key, volume_key) = (identity.claim(), identity.volume());
    if let Some(problem) = ensure(&claim_key, claim, identity, ctx).await? {
        return Ok(Some(problem));
    }
    let writer = &ctx.shared.writer;
    let Some(claim) = writer.index().get(&claim_key) else {
        return Ok(None);
    };
    let bound = build::bind(volume, identity, &claim.uid);
    let owner = owner(identity, ctx);
    let ensured = match writer.ensure(&volume_key, bound, &owner).await {
        Ok(ensured) => ensured,
        Err(error) => return refused(error, &volume_key).map(Some),
    };
    writer
        .have_bound(&claim_key, &volume_key)
        .await
        .doing("having the claim bound")?;
    Ok(problem(&volume_key, &ensured))
}

async fn ensure(
    key: &ObjectKey,
    desired: serde_json::Value,
    identity: &Identity,
    ctx: &Context,
) -> Result<Option<Problem>, ReconcileError> {
    let owner = owner(identity, ctx);
    match ctx.shared.writer.ensure(key, desired, &owner).await {
        Ok(ensured) => Ok(problem(key, &ensured)),
        Err(error) => refused(error, key).map(Some),
    }
}

fn owner(identity: &Identity, ctx: &Context) -> Owner {
    let (namespace, name) = (&identity.namespace, &identity.name);
    let twin = ctx.dataset(identity.group.other(), namespace, name);
    Owner {
        uid: identity.uid.clone(),
        dataset: (namespace.clone(), name.clone()),
        twin: twin.and_then(|twin| twin.metadata.uid.clone()),
    }
}

fn refused(error: kube::Error, key: &ObjectKey) -> Result<Problem, ReconcileError> {
    refusal(error, &key.kind.resource().kind, &key.name).doing("writing what the Dataset makes")
}

/// What stands in the way of an object, for a person.
fn problem(key: &ObjectKey, ensured: &Ensured) -> Option<Problem> {
    let kind = key.kind.resource().kind;
    match ensured {
        Ensured::Unchanged | Ensured::Written => None,
        Ensured::Foreign => Some(Problem::pending(
            "NameTaken",
            format!(
                "{kind} {} exists and was not made by this Dataset, so it is left alone; rename or delete it, or \
                 give the Dataset another name",
                key.name
            ),
        )),
        Ensured::Terminating => Some(Problem::pending(
            "Terminating",
            match key.kind {
                // It stays for as long as the claim that is bound to it.
                OwnedKind::Volume => format!(
                    "{kind} {} is being deleted and goes only after its claim; delete that claim once no pod uses \
                     it, and both are made again",
                    key.name
                ),
                _ => format!(
                    "{kind} {} is being deleted; it is made again once the pods that use it have gone",
                    key.name
                ),
            },
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_way_of_an_object_names_it_and_the_way_out() {
        let text = |kind, ensured| {
            let key = ObjectKey {
                kind,
                namespace: "ns".into(),
                name: "books".into(),
            };
            problem(&key, &ensured).map(|problem| problem.message)
        };
        assert_eq!(text(OwnedKind::Claim, Ensured::Written), None);
        let foreign = text(OwnedKind::Secret, Ensured::Foreign).unwrap();
        assert!(
            foreign.contains("Secret books") && foreign.contains("left alone"),
            "{foreign}"
        );
        let claim = text(OwnedKind::Claim, Ensured::Terminating).unwrap();
        assert!(claim.contains("pods that use it"), "{claim}");
        let volume = text(OwnedKind::Volume, Ensured::Terminating).unwrap();
        assert!(volume.contains("delete that claim"), "{volume}");
    }
}
