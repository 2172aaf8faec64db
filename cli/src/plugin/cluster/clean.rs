//! The end of a check, however it ends: its namespace goes.

use std::{error::Error, io};

use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Fixture, wait::Watch};
use crate::{
    arguments::InCluster,
    cluster::{Cluster, Kind},
};

/// Deletes the namespace, and waits until it is gone.
pub(super) async fn clean(
    cluster: &Cluster,
    fixture: &Fixture<'_>,
    settings: &InCluster,
    interrupts: &mut Interrupts,
) -> Result<(), Box<dyn Error>> {
    let namespace = &fixture.namespace;
    let by_hand = format!("kubectl delete namespace {namespace}");
    if settings.keep {
        eprintln!("namespace {namespace} is kept; delete it with `{by_hand}`");
        return Ok(());
    }
    eprintln!("deleting namespace {namespace}");
    let watch = Watch::default();
    let gone = async {
        // An API server that is away for a moment is asked again.
        watch
            .until(async || {
                Ok(Ok(cluster
                    .delete(Kind::NAMESPACE, None, namespace, None)
                    .await?))
            })
            .await?;
        let look = async || {
            let left = cluster.get(Kind::NAMESPACE, None, namespace).await?;
            Ok(left.map_or(Ok(String::new()), |left| Err(remaining(&left))))
        };
        watch.until(look).await
    };
    let outcome = tokio::select! {
        outcome = watch.within(settings.timeout, gone) => outcome,
        () = interrupts.next() => Err("interrupted".to_owned()),
    };
    match outcome {
        Ok(_) => Ok(()),
        Err(found) => Err(format!(
            "namespace {namespace} is not gone: {found}; see to it with `{by_hand}`"
        )
        .into()),
    }
}

/// What a namespace that is being deleted waits for.
fn remaining(namespace: &Value) -> String {
    let conditions = namespace["status"]["conditions"].as_array();
    let conditions = conditions.into_iter().flatten();
    let remains = conditions.filter(|condition| {
        condition["status"] == "True" && condition["type"] != "NamespaceDeletionDiscoveryFailure"
    });
    let messages: Vec<&str> = remains
        .filter_map(|condition| condition["message"].as_str())
        .collect();
    if messages.is_empty() {
        "it is being deleted".to_owned()
    } else {
        messages.join("; ")
    }
}

/// Ctrl-C, a terminal that is closed, and the request to end.
pub(super) struct Interrupts {
    interrupt: Signal,
    hangup: Signal,
    terminate: Signal,
}

impl Interrupts {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_namespace_says_what_it_waits_for() {
        let condition = |status: &str| json!({ "type": "NamespaceFinalizersRemaining", "status": status, "message": "1 dataset" });
        let of = |status| json!({ "status": { "conditions": [condition(status)] } });
        assert_eq!(remaining(&of("True")), "1 dataset");
        assert_eq!(remaining(&of("False")), "it is being deleted");
    }
}
