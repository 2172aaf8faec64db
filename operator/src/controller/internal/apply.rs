use dlf_core::plugin::StoragePlan;
use dlf_wire::dataset::v1::{DatasetConfig, Origin};

use super::{build::{self, Built}, kept};
use crate::controller::{
    Context,
    error::{Doing, Problem, ReconcileError},
    names::Identity,
    owned::{Ensured, ObjectKey},
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
        Self { problem: Some(problem), provisioned: false, planned: None, node_config: None }
    }
}

/// Writes claim and volume first, whatever the source's health, then what consumers and nodes read.
pub(super) async fn run(built: Built, identity: &Identity, ctx: &Context) -> Result<Applied, ReconcileError> {
    let Built { plan, size, source, claim, volume, config_map, consumer_secret, node_config, origins } = built;
    let mut obstacles = Obstacles::default();
    obstacles.note(claim_and_volume(claim, volume, identity, ctx).await?);
    obstacles.note(ensure(&identity.config_map(), config_map, identity, ctx).await?);
    match consumer_secret {
        Ok(secret) => obstacles.note(ensure(&identity.consumer_secret(), secret, identity, ctx).await?),
        Err(problem) => obstacles.note(Some(problem)),
    }
    let mut node_config_ready = None;
    match node_config {
        Ok(config) => {
            let key = identity.resolved_secret(&ctx.shared.namespace);
            let secret = kept::secret(identity, &key.namespace, &origins);
            obstacles.note(ensure(&key, secret, identity, ctx).await?);
            node_config_ready = Some(config);
        }
        Err(problem) => obstacles.note(Some(problem)),
    }
    let made = ctx.shared.writer.index().get(&identity.claim()).and_then(|claim| claim.size);
    let size_pending = made.filter(|made| *made != size).map(|made| (made, size));
    Ok(Applied {
        provisioned: obstacles.0.is_none(),
        problem: obstacles.0,
        planned: Some(Planned { plan, origins, source, size_pending }),
        node_config: node_config_ready,
    })
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

async fn claim_and_volume(
    claim: serde_json::Value,
    volume: serde_json::Value,
    identity: &Identity,
    ctx: &Context,
) -> Result<Option<Problem>, ReconcileError> {
    let key = identity.claim();
    if let Some(problem) = ensure(&key, claim, identity, ctx).await? {
        return Ok(Some(problem));
    }
    let Some(claim) = ctx.shared.writer.index().get(&key) else { return Ok(None) };
    ensure(&identity.volume(), build::bind(volume, identity, &claim.uid), identity, ctx).await
}

async fn ensure(
    key: &ObjectKey,
    desired: serde_json::Value,
    identity: &Identity,
    ctx: &Context,
) -> Result<Option<Problem>, ReconcileError> {
    let kind = key.kind.resource().kind;
    let ensured = ctx.shared.writer.ensure(key, desired, &identity.uid).await;
    Ok(match ensured.doing("writing what the Dataset makes")? {
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
            format!("{kind} {} is being deleted; it is made again once the pods that use it have gone", key.name),
        )),
    })
}
