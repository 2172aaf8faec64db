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

use super::{
    Context, Next,
    error::ReconcileError,
    line::{CONCURRENCY, Line},
};
use crate::{waker::Name, watches::name_of};

/// One that takes longer holds a place that others need. It asks the API server some ten times,
/// and each answer comes within seconds or not at all.
const DEADLINE: Duration = Duration::from_mins(1);

/// One controller of objects that are all known: takes woken names one by one and reconciles them, many
/// at once. One that fails waits for its own time and for nobody else's.
pub(super) async fn control<K, Reconcile, Reconciling>(
    objects: Store<K>,
    line: Arc<Line>,
    context: Arc<Context>,
    reconcile: Reconcile,
) where
    K: Resource<DynamicType = ApiGroup> + Clone + Send + Sync + 'static,
    Reconcile: Fn(Arc<K>, Arc<Context>) -> Reconciling + Send + 'static,
    Reconciling: Future<Output = Result<Next, ReconcileError>> + Send + 'static,
{
    let queue = line.references::<K>(context.group);
    let turns = Arc::clone(&line);
    applier(
        move |object: Arc<K>, context| {
            let name = name_of(object.as_ref());
            let running = reconcile(object, context);
            Box::pin(turn(name, running, Arc::clone(&turns)))
        },
        |_, error: &Infallible, _| match *error {},
        context,
        objects,
        queue.boxed(),
        Config::default().concurrency(CONCURRENCY),
    )
    .for_each(|outcome| {
        match outcome {
            Ok((object, _)) => debug!(%object, "reconciled"),
            // A name is woken in both groups and kinds, and exists in some.
            Err(Error::ObjectNotFound(object)) => {
                debug!(%object, "nothing of that name");
                line.gone(&name(object.namespace.as_deref(), &object.name));
            }
            Err(error) => warn!(%error, kind = line.kind(), "a queue of objects failed"),
        }
        std::future::ready(())
    })
    .await;
}

fn name(namespace: Option<&str>, name: &str) -> Name {
    (namespace.unwrap_or_default().to_owned(), name.to_owned())
}

/// One reconcile of one object.
async fn turn(
    object: Name,
    running: impl Future<Output = Result<Next, ReconcileError>>,
    line: Arc<Line>,
) -> Result<Action, Infallible> {
    let _place = line.begin(&object);
    let began = Instant::now();
    let outcome = bounded(DEADLINE, running).await;
    if let Err(error) = &outcome {
        let (kind, (namespace, name)) = (line.kind(), &object);
        warn!(kind, namespace, name, %error, "a reconcile failed and is tried again");
    }
    let again = line.ended(object, began.elapsed(), &outcome);
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
