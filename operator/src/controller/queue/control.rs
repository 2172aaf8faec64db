use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use dlf_core::api::ApiGroup;
use futures::{FutureExt, StreamExt};
use kube::{
    Resource,
    runtime::{
        applier,
        controller::{Action, Config, Error},
        reflector::Store,
    },
};
use tokio::time::timeout;
use tracing::{debug, error, warn};

use super::WorkQueue;
use crate::controller::{Context, Next, error::ReconcileError};
use crate::{waker::Name, watches::name_of};

/// One that takes longer holds a place that others need. It asks the API server some ten times,
/// and each answer comes within seconds or not at all.
const DEADLINE: Duration = Duration::from_mins(1);

/// One controller of objects that are all known: reconciles what its queue names, so many at once. An
/// object that fails waits for its own time and for nobody else's.
///
/// kube's `applier` is the loop beneath its `Controller`. What that adds are watches of its own for each
/// controller, and three controllers of two groups here share theirs.
pub(in crate::controller) async fn control<K, Reconcile, Reconciling>(
    objects: Store<K>,
    queue: Arc<WorkQueue>,
    concurrency: u16,
    context: Arc<Context>,
    reconcile: Reconcile,
) where
    K: Resource<DynamicType = ApiGroup> + Clone + Send + Sync + 'static,
    Reconcile: Fn(Arc<K>, Arc<Context>) -> Reconciling + Send + 'static,
    Reconciling: Future<Output = Result<Next, ReconcileError>> + Send + 'static,
{
    let references = queue.references::<K>(context.group);
    let reconciled = Arc::clone(&queue);
    applier(
        move |object: Arc<K>, context| {
            let name = name_of(object.as_ref());
            let running = reconcile(object, context);
            Box::pin(one(name, running, Arc::clone(&reconciled)))
        },
        |_, error: &Infallible, _| match *error {},
        context,
        objects,
        references.boxed(),
        Config::default().concurrency(concurrency),
    )
    .for_each(|outcome| {
        match outcome {
            Ok((object, _)) => debug!(%object, "reconciled"),
            // A name is woken in both groups and kinds, and exists in some.
            Err(Error::ObjectNotFound(object)) => {
                debug!(%object, "nothing of that name");
                queue.gone(&name(object.namespace.as_deref(), &object.name));
            }
            Err(error) => warn!(%error, kind = queue.kind, "a queue of objects failed"),
        }
        std::future::ready(())
    })
    .await;
}

fn name(namespace: Option<&str>, name: &str) -> Name {
    (namespace.unwrap_or_default().to_owned(), name.to_owned())
}

/// One reconcile of one object.
async fn one(
    object: Name,
    running: impl Future<Output = Result<Next, ReconcileError>>,
    queue: Arc<WorkQueue>,
) -> Result<Action, Infallible> {
    queue.begun(&object);
    let began = Instant::now();
    let outcome = bounded(DEADLINE, running).await;
    if let Err(error) = &outcome {
        let (kind, (namespace, name)) = (queue.kind, &object);
        warn!(kind, namespace, name, %error, "a reconcile failed and is tried again");
    }
    let again = queue.ended(object, began.elapsed(), &outcome);
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}

/// Runs a reconcile so that neither a mistake in it nor its slowness is felt by others.
async fn bounded(
    deadline: Duration,
    running: impl Future<Output = Result<Next, ReconcileError>>,
) -> Result<Next, ReconcileError> {
    match timeout(deadline, AssertUnwindSafe(running).catch_unwind()).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => {
            error!("a reconcile panicked; the message before this one says where");
            Err(ReconcileError::Panicked)
        }
        Err(_) => Err(ReconcileError::Deadline(deadline.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reconcile_that_hangs_or_panics_ends_as_an_error() {
        let hanging = bounded(Duration::from_millis(1), std::future::pending()).await;
        assert!(matches!(hanging, Err(ReconcileError::Deadline(_))));
        let panicking = bounded(DEADLINE, async { panic!("a mistake") }).await;
        assert!(matches!(panicking, Err(ReconcileError::Panicked)));
    }
}
