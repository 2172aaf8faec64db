//! What is left to do at the source before a Dataset goes.

use dlf_core::{api::Dataset, names::LABEL_REMOVE_ON_DELETE, plugin::Intent, source::Source};
use dlf_wire::dataset::v1::Origin;
use kube::{ResourceExt, runtime::events::EventType};

use super::{
    kept, plan, resolve,
    source::{FOR_GOOD, NO_WORKER, spec, wire_task},
};
use crate::{
    controller::{
        Context,
        error::{Problem, ReconcileError},
        events,
        names::Identity,
    },
    tasks::{Outcome, Progress},
};

/// What is said where the keys are gone, and none were kept. A Dataset with remove-on-delete keeps them from
/// before its bucket is made until that is deleted: it has made none since, or has seen it go.
const NOTHING_OWED: &str = "the keys of its bucket are gone and none were kept to delete it with, so nothing more is done \
                            to the bucket: if it is still there, it stays";

/// Empties a bucket that goes with its Dataset; Ok when there is nothing (more) to do.
pub(super) async fn run(
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<Result<(), Problem>, ReconcileError> {
    if ctx.elder(dataset).is_some() {
        return Ok(Ok(()));
    }
    // What could not be read was never made either.
    let Some(source) = own_bucket(dataset, identity) else {
        return Ok(Ok(()));
    };
    let planned = plan::ask(
        &dataset.spec,
        &source,
        Intent::Delete,
        dataset,
        identity,
        ctx,
    );
    let plan = match planned.await {
        Some(Ok(plan)) => plan,
        Some(Err(problem)) if wants_removal(dataset) => {
            return unplanned(&problem, identity, ctx).await;
        }
        Some(Err(_)) => return Ok(Ok(())),
        None => {
            return Ok(Err(Problem::pending(
                "EmptyingBucket",
                "its plugin is asked how the bucket is emptied",
            )));
        }
    };
    if plan.tasks.is_empty() {
        return Ok(Ok(()));
    }
    let secrets = resolve::secrets(&plan, identity, ctx).await?;
    let resolved: Result<Vec<Origin>, Problem> = resolve::origins(&plan)
        .iter()
        .map(|origin| resolve::resolve(origin, &secrets))
        .collect();
    let origins = match resolved {
        Ok(origins) => origins,
        Err(missing) => {
            let Some(secret) = resolve::kept_secret(identity, ctx).await? else {
                events::publish(dataset, EventType::Normal, "BucketKept", NOTHING_OWED, ctx).await;
                return Ok(Ok(()));
            };
            let Some(origins) = kept::read(&secret) else {
                return Ok(Err(not_emptied(&missing.reason, &missing.message)));
            };
            origins
        }
    };
    for task in &plan.tasks {
        let Some(kind) = wire_task(task, &origins, false, identity) else {
            continue;
        };
        let progress = ctx
            .shared
            .tasks
            .want(spec(kind, identity, &origins), FOR_GOOD);
        if let Err(waiting) = emptied(progress, dataset, ctx).await {
            return Ok(Err(waiting));
        }
    }
    Ok(Ok(()))
}

/// A bucket that was made is not left behind because its plugin is away. What could never be planned was never
/// made: no keys are kept for it.
async fn unplanned(
    problem: &Problem,
    identity: &Identity,
    ctx: &Context,
) -> Result<Result<(), Problem>, ReconcileError> {
    Ok(match resolve::kept_secret(identity, ctx).await? {
        Some(_) => Err(not_emptied(&problem.reason, &problem.message)),
        None => Ok(()),
    })
}

/// The bucket of the Dataset itself, whatever stands before it: its DatasetInternal may be at the
/// endpoint of a cache, or have gone before.
fn own_bucket(dataset: &Dataset, identity: &Identity) -> Option<Source> {
    let source = Source::parse(&dataset.spec, dataset.labels(), &identity.namespace).ok()?;
    let Source::ObjectStore(bucket) = source else {
        return None;
    };
    let mut bucket = bucket.referring_to(|| identity.source_secret());
    bucket.remove_on_delete = wants_removal(dataset);
    Some(Source::ObjectStore(bucket))
}

async fn emptied(progress: Progress, dataset: &Dataset, ctx: &Context) -> Result<(), Problem> {
    match progress.latest.map(|finished| finished.outcome) {
        Some(Outcome::Done { deleted: true, .. }) => Ok(()),
        Some(Outcome::Done { deleted: false, .. }) => {
            let note = "the bucket is kept: it was not made by `provision` for this Dataset, so remove-on-delete does \
                        not apply to it";
            events::publish(dataset, EventType::Normal, "BucketKept", note, ctx).await;
            Ok(())
        }
        // A bucket that is gone already is as empty as can be.
        Some(Outcome::Failed(failure)) if failure.reason == "NoSuchBucket" => Ok(()),
        Some(Outcome::Failed(failure)) => Err(not_emptied(&failure.reason, &failure.message)),
        None if ctx.shared.tasks.workers() == 0 => Err(not_emptied("NoWorker", NO_WORKER)),
        None => Err(Problem::pending(
            "EmptyingBucket",
            format!(
                "the bucket is being emptied, {} objects so far",
                progress.done.objects
            ),
        )),
    }
}

/// Whether the Dataset, as it is now, wants its bucket to go with it: who has changed their mind
/// about a source that cannot be reached is not held by what they said before.
fn wants_removal(dataset: &Dataset) -> bool {
    let local = dataset.spec.local.as_ref();
    let key = local.and_then(|local| local.get("removeOnDelete"));
    let label = dataset.labels().get(LABEL_REMOVE_ON_DELETE);
    [key, label]
        .into_iter()
        .flatten()
        .any(|value| value == "true")
}

fn not_emptied(reason: &str, why: &str) -> Problem {
    Problem::pending(
        reason,
        format!(
            "the bucket is to be emptied and deleted with the Dataset and cannot be: {why}. This is tried again; to \
             keep the bucket and let the Dataset go, remove its label remove-on-delete and the key removeOnDelete of \
             spec.local"
        ),
    )
}

#[cfg(test)]
mod tests {
    use dlf_core::{api::ApiGroup, source::KeySource};
    use serde_json::{Value, json};

    use super::*;

    fn dataset(label: &Value, key: &Value) -> Dataset {
        serde_json::from_value(json!({
            "metadata": { "name": "x", "labels": { "remove-on-delete": label } },
            "spec": { "local": { "type": "COS", "removeOnDelete": key } },
        }))
        .unwrap()
    }

    #[test]
    fn a_bucket_goes_for_as_long_as_label_or_key_say_so() {
        for (label, key, expected) in [
            ("true", "false", true),
            ("false", "true", true),
            ("false", "false", false),
            ("", "", false),
        ] {
            let dataset = dataset(&json!(label), &json!(key));
            assert_eq!(wants_removal(&dataset), expected, "{label} {key}");
        }
    }

    #[test]
    fn what_is_emptied_is_the_datasets_own_bucket_with_keys_in_its_secret() {
        let mut dataset = dataset(&json!(""), &json!("true"));
        let local = dataset.spec.local.as_mut().unwrap();
        for (key, value) in [
            ("endpoint", "https://s3.example.com"),
            ("bucket", "books"),
            ("accessKeyID", "id"),
            ("secretAccessKey", "secret"),
        ] {
            local.insert(key.to_owned(), value.to_owned());
        }
        let identity = Identity {
            group: ApiGroup::Hpsys,
            namespace: "ns".into(),
            name: "x".into(),
            uid: "u".into(),
        };
        let Some(Source::ObjectStore(bucket)) = own_bucket(&dataset, &identity) else {
            panic!("it has a bucket");
        };
        assert!(bucket.remove_on_delete);
        let name = identity.source_secret();
        assert_eq!(bucket.keys, KeySource::Secret { name });
        dataset.spec.local = None;
        assert!(own_bucket(&dataset, &identity).is_none());
    }

    #[test]
    fn a_bucket_that_cannot_be_emptied_says_how_to_go_on_without() {
        let text = not_emptied("Unreachable", "nobody answers at s3:443").message;
        for part in [
            "nobody answers at s3:443",
            "remove-on-delete",
            "removeOnDelete",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
