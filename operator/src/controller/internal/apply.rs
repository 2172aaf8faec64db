use dlf_core::plugin::StoragePlan;
use dlf_wire::dataset::v1::{DatasetConfig, Origin};

use super::{
    build::{self, Built},
    kept,
};
use crate::controller::{
    Context,
    error::{Doing, Problem, ReconcileError, refusal},
    names::Identity,
    owned::{Ensured, ObjectKey, OwnedKind},
};

/// What became of what was built.
pub(super) struct Applied {
    /// What stands in the way of pods, if anything does.
    pub(super) problem: Option<Problem>,
    /// Claim and volume exist, and so does what consumers read.
    pub(super) provisioned: bool,
    /// What nodes are to work with; none while something of it is missing.
    pub(super) node_config: Option<DatasetConfig>,
    /// What was planned; none when nothing could be.
    pub(super) planned: Option<Planned>,
}

/// What later steps need of the plan.
pub(super) struct Planned {
    pub(super) plan: StoragePlan,
    pub(super) origins: Vec<Origin>,
    /// Type and address, for the Source column.
    pub(super) source: String,
    /// Whether `mount.size` differs from the size the claim was made with.
    pub(super) size_pending: Option<(String, String)>,
}

impl Applied {
    pub(super) const fn failed(problem: Problem) -> Self {
        Self {
            problem: Some(problem),
            provisioned: false,
            planned: None,
            node_config: None,
        }
    }
}

/// Writes claim and volume first, whatever the source's health, then what consumers and nodes read.
pub(super) async fn run(
    built: Built,
    identity: &Identity,
    ctx: &Context,
) -> Result<Applied, ReconcileError> {
    let Built {
        plan,
        size,
        source,
        claim,
        volume,
        config_map,
        consumer_secret,
        node_config,
        origins,
        keeps_origins,
    } = built;
    let mut obstacles = Obstacles::default();
    obstacles.note(claim_and_volume(claim, volume, identity, ctx).await?);
    obstacles.note(ensure(&identity.config_map(), config_map, identity, ctx).await?);
    match consumer_secret {
        Ok(secret) => {
            obstacles.note(ensure(&identity.consumer_secret(), secret, identity, ctx).await?);
        }
        Err(problem) => obstacles.note(Some(problem)),
    }
    let mut node_config_ready = None;
    match node_config {
        Ok(config) => {
            obstacles.note(keep(&origins, keeps_origins, identity, ctx).await?);
            node_config_ready = Some(config);
        }
        Err(problem) => obstacles.note(Some(problem)),
    }
    let made = ctx
        .shared
        .writer
        .index()
        .get(&identity.claim())
        .and_then(|claim| claim.size);
    let size_pending = made.filter(|made| *made != size).map(|made| (made, size));
    Ok(Applied {
        provisioned: obstacles.0.is_none(),
        problem: obstacles.0,
        planned: Some(Planned {
            plan,
            origins,
            source,
            size_pending,
        }),
        node_config: node_config_ready,
    })
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
    let ensured = match writer.ensure(&volume_key, bound, &identity.uid).await {
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
    match ctx.shared.writer.ensure(key, desired, &identity.uid).await {
        Ok(ensured) => Ok(problem(key, &ensured)),
        Err(error) => refused(error, key).map(Some),
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
