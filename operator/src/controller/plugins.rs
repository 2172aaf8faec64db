//! Plugins that are not compiled in are looked after: what is wrong with one is known before a Dataset needs
//! it, and another version plans for the Datasets that are there.

use std::{collections::HashMap, sync::Arc, time::Duration};

use dlf_core::{
    api::Dataset,
    plugin::{PluginInfo, PluginKind},
    source::Source,
};
use dlf_plugin_host::Registry;
use kube::ResourceExt;
use tokio::time::sleep;
use tracing::info;

use super::{Shared, watched::AllQueues};
use crate::watches::name_of;

/// How often a plugin is looked at. One that was met and is still connected is not asked again.
const INTERVAL: Duration = Duration::from_secs(10);

/// Meets each plugin, and has the Datasets of one looked at that has become another. Never ends.
pub(super) async fn look_after(shared: Arc<Shared>, queues: AllQueues) {
    let mut known: HashMap<String, PluginInfo> = HashMap::new();
    loop {
        for plugin in shared.plugins.plugins() {
            plugin.look().await;
            let Some(info) = plugin.info() else {
                continue;
            };
            let name = plugin.name();
            let before = known.insert(name.to_owned(), info.clone());
            if before.is_some_and(|before| before != info) {
                info!(
                    plugin = name,
                    version = info.version,
                    "plans anew: it is another version"
                );
                plan_anew(name, info.kind, &shared, &queues);
            }
        }
        sleep(INTERVAL).await;
    }
}

fn plan_anew(plugin: &str, kind: PluginKind, shared: &Shared, queues: &AllQueues) {
    for (group, stores) in &shared.stores {
        let Some(queues) = queues.get(group) else {
            continue;
        };
        for dataset in stores.datasets.state() {
            let name = name_of(&*dataset);
            match kind {
                PluginKind::Caching if plans_cache(plugin, &dataset) => queues.caches.add(&name),
                PluginKind::Storage if plans_storage(plugin, &dataset, &shared.plugins) => {
                    queues.datasets.add(&name);
                }
                PluginKind::Caching | PluginKind::Storage => {}
            }
        }
    }
}

fn plans_cache(plugin: &str, dataset: &Dataset) -> bool {
    let cache = dataset
        .status
        .as_ref()
        .and_then(|status| status.cache.as_ref());
    cache.is_some_and(|cache| cache.plugin == plugin)
}

fn plans_storage(plugin: &str, dataset: &Dataset, plugins: &Registry) -> bool {
    let (labels, namespace) = (dataset.labels(), dataset.namespace().unwrap_or_default());
    let Ok(source) = Source::parse(&dataset.spec, labels, &namespace) else {
        return false;
    };
    let routed = plugins.storage(source.kind(), &namespace, labels);
    routed.is_ok_and(|routed| routed.name() == plugin)
}
