use std::sync::Arc;

use dlf_core::api::{ApiGroup, Dataset};
use futures::{StreamExt, pin_mut};
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use tracing::warn;

use super::{Facts, Index};

/// Keeps the index up to date with one group, for as long as it is polled. `synced` is called each
/// time the whole of the group has been read.
pub async fn watch(client: Client, group: ApiGroup, index: Arc<Index>, synced: impl Fn() + Send) {
    let api = Api::<Dataset>::all_with(client, &group);
    let events = watcher::watcher(api, watcher::Config::default()).default_backoff();
    pin_mut!(events);
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(dataset)) => {
                let (namespace, name, facts) = entry(&dataset);
                index.apply(group, &namespace, &name, facts);
            }
            Ok(Event::Delete(dataset)) => {
                let (namespace, name, _) = entry(&dataset);
                index.delete(group, &namespace, &name);
            }
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(dataset)) => listed.push(entry(&dataset)),
            Ok(Event::InitDone) => {
                index.reset(group, std::mem::take(&mut listed));
                synced();
            }
            Err(error) => warn!(%group, %error, "watching Datasets failed; trying again"),
        }
    }
}

fn entry(dataset: &Dataset) -> (String, String, Facts) {
    let metadata = &dataset.metadata;
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
        Facts::of(dataset),
    )
}
