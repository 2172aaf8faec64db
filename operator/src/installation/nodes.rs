//! Nodes that leave the cluster.

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::api::core::v1::Node;
use kube::{Client, ResourceExt, api::Api, core::PartialObjectMeta, runtime::watcher};

use crate::{
    nodes::{Hub, registry::Registry},
    watches::{Change, events, follow},
};

/// Forgets what nodes told that are no more: between two streams a node keeps its mounts, so its
/// silence alone says nothing. Runs for ever.
pub async fn forget_gone_nodes(client: Client, nodes: Arc<Hub>) {
    let api: Api<PartialObjectMeta<Node>> = Api::all(client);
    follow(
        events(api, watcher::Config::default()),
        |change| match change {
            Change::Applied(_) => {}
            Change::Deleted(node) => nodes.forget_node(&node.name_any()),
            Change::Listed(listed) => {
                let there: HashSet<&str> = listed.iter().map(|(_, name)| name.as_str()).collect();
                let known = nodes.read(Registry::node_names);
                for gone in known.iter().filter(|name| !there.contains(&***name)) {
                    nodes.forget_node(gone);
                }
            }
        },
    )
    .await;
}
