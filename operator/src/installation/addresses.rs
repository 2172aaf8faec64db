use std::{collections::BTreeSet, sync::Arc, time::Duration};

use dlf_plugin_host::config::Network;
use dlf_wire::dataset::v1::NetworkRules;
use k8s_openapi::api::{
    core::v1::{Node, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Client,
    api::{Api, ListParams},
};
use tokio::{sync::oneshot, time::sleep};
use tracing::warn;

use crate::nodes::Hub;

/// The kubelet's port on every node.
const KUBELET_PORT: u16 = 10_250;
/// Namespace and name of the API server's own Service.
const API_SERVER: (&str, &str) = ("default", "kubernetes");
/// Label by which an EndpointSlice names its Service.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";
/// API servers and nodes come and go slowly; a list a minute is cheaper than three watches.
const INTERVAL: Duration = Duration::from_mins(1);
/// Nothing is mounted and no source is asked before the first answer.
const RETRY: Duration = Duration::from_secs(2);
/// Nodes listed at a time, so that 5,000 do not come in one answer.
const PAGE: u32 = 500;

/// Keeps nodes and workers told of the addresses no dataset may point at, and says once when they
/// are known. Runs for ever.
pub async fn keep_network_rules(
    client: Client,
    network: Network,
    nodes: Arc<Hub>,
    known: oneshot::Sender<()>,
) {
    let mut known = Some(known);
    loop {
        match forbidden_sockets(&client).await {
            Ok(sockets) => {
                nodes.set_network(rules(&network, sockets));
                // Nobody waits for it any more when the duties are laid down.
                let _ = known.take().map(|known| known.send(()));
            }
            Err(error) => {
                warn!(%error, "the API server's addresses were not found out and are again later");
            }
        }
        let pause = if known.is_some() { RETRY } else { INTERVAL };
        sleep(pause).await;
    }
}

fn rules(network: &Network, sockets: BTreeSet<String>) -> NetworkRules {
    NetworkRules {
        allow: network.allow.iter().map(ToString::to_string).collect(),
        deny: network.deny.iter().map(ToString::to_string).collect(),
        deny_sockets: sockets.into_iter().collect(),
    }
}

async fn forbidden_sockets(client: &Client) -> kube::Result<BTreeSet<String>> {
    let mut sockets = api_server(client).await?;
    let api: Api<Node> = Api::all(client.clone());
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await?;
        sockets.extend(page.items.iter().flat_map(kubelet));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(sockets),
        }
    }
}

async fn api_server(client: &Client) -> kube::Result<BTreeSet<String>> {
    let (namespace, name) = API_SERVER;
    let service = Api::<Service>::namespaced(client.clone(), namespace)
        .get(name)
        .await?;
    let mut sockets: BTreeSet<String> = service
        .spec
        .iter()
        .flat_map(|spec| {
            let ports = spec.ports.iter().flatten().map(|port| port.port);
            ports.flat_map(|port| {
                spec.cluster_ips
                    .iter()
                    .flatten()
                    .map(move |ip| socket(ip, port))
            })
        })
        .collect();
    let params = ListParams::default().labels(&format!("{SERVICE_LABEL}={name}"));
    for slice in Api::<EndpointSlice>::namespaced(client.clone(), namespace)
        .list(&params)
        .await?
    {
        for port in slice.ports.iter().flatten().filter_map(|port| port.port) {
            let addresses = slice
                .endpoints
                .iter()
                .flat_map(|endpoint| &endpoint.addresses);
            sockets.extend(addresses.map(|address| socket(address, port)));
        }
    }
    Ok(sockets)
}

fn kubelet(node: &Node) -> Vec<String> {
    let addresses = node
        .status
        .iter()
        .flat_map(|status| status.addresses.iter().flatten());
    addresses
        .filter(|address| address.address.parse::<std::net::IpAddr>().is_ok())
        .map(|address| socket(&address.address, i32::from(KUBELET_PORT)))
        .collect()
}

fn socket(ip: &str, port: i32) -> String {
    if ip.contains(':') {
        format!("[{ip}]:{port}")
    } else {
        format!("{ip}:{port}")
    }
}
