//! The API server's addresses, which no dataset may point at.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use dlf_plugin_host::config::Network;
use dlf_wire::dataset::v1::NetworkRules;
use futures::{StreamExt, future::ready, pin_mut, stream};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Client, ResourceExt,
    api::Api,
    runtime::watcher::{self, Event},
};
use tokio::sync::oneshot;
use tracing::warn;

use crate::{nodes::Hub, watches::events};

/// Namespace and name of the API server's own Service.
const API_SERVER: (&str, &str) = ("default", "kubernetes");
/// Label by which an EndpointSlice names its Service.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// Keeps nodes and workers told of the addresses no dataset may point at, and says once when they
/// are known. Runs for ever.
pub async fn keep_network_rules(
    client: Client,
    network: Network,
    nodes: Arc<Hub>,
    known: oneshot::Sender<()>,
) {
    let mut known = Some(known);
    let (mut services, mut endpoints) = (Sockets::default(), Sockets::default());
    let news = news(client);
    pin_mut!(news);
    while let Some((kind, update)) = news.next().await {
        let of_kind = match kind {
            Kind::Service => &mut services,
            Kind::Endpoints => &mut endpoints,
        };
        if of_kind.apply(update) && services.complete && endpoints.complete {
            nodes.set_network(rules(&network, &[&services, &endpoints]));
            // Nobody waits for it any more when the duties are laid down.
            let _ = known.take().map(|known| known.send(()));
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Service,
    Endpoints,
}

/// What a watch tells of the sockets of its objects, by the object's name.
#[derive(Debug)]
enum Update {
    ListBegins,
    Listed(String, BTreeSet<String>),
    ListEnds,
    Changed(String, BTreeSet<String>),
}

fn news(client: Client) -> impl futures::Stream<Item = (Kind, Update)> {
    let (namespace, name) = API_SERVER;
    let named = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let services = Api::<Service>::namespaced(client.clone(), namespace);
    let services = events(services, named).map(|event| (Kind::Service, update(event, of_service)));
    let labelled = watcher::Config::default().labels(&format!("{SERVICE_LABEL}={name}"));
    let slices = Api::<EndpointSlice>::namespaced(client, namespace);
    let slices =
        events(slices, labelled).map(|event| (Kind::Endpoints, update(event, of_endpoints)));
    stream::select(services, slices)
        .filter_map(|(kind, update)| ready(update.map(|update| (kind, update))))
}

fn update<K: ResourceExt>(
    event: watcher::Result<Event<K>>,
    sockets: impl Fn(&K) -> BTreeSet<String>,
) -> Option<Update> {
    match event {
        Ok(Event::Init) => Some(Update::ListBegins),
        Ok(Event::InitApply(object)) => Some(Update::Listed(object.name_any(), sockets(&object))),
        Ok(Event::InitDone) => Some(Update::ListEnds),
        Ok(Event::Apply(object)) => Some(Update::Changed(object.name_any(), sockets(&object))),
        // The addresses of an API server that goes are no safer for it.
        Ok(Event::Delete(_)) => None,
        Err(error) => {
            warn!(%error, "the watch of the API server's addresses failed and is tried again");
            None
        }
    }
}

/// The sockets that objects of one kind tell of, by object.
#[derive(Debug, Default)]
struct Sockets {
    of: BTreeMap<String, BTreeSet<String>>,
    /// A first list has been seen to its end.
    complete: bool,
}

impl Sockets {
    /// Takes note; whether it may change the rules.
    fn apply(&mut self, update: Update) -> bool {
        match update {
            Update::ListBegins => {
                self.of.clear();
                false
            }
            Update::Listed(name, sockets) => {
                self.of.insert(name, sockets);
                false
            }
            Update::ListEnds => {
                self.complete = true;
                true
            }
            Update::Changed(name, sockets) => {
                self.of.insert(name, sockets.clone()) != Some(sockets)
            }
        }
    }
}

fn rules(network: &Network, found: &[&Sockets]) -> NetworkRules {
    let sockets: BTreeSet<&String> = found
        .iter()
        .flat_map(|sockets| sockets.of.values().flatten())
        .collect();
    NetworkRules {
        allow: network.allow.iter().map(ToString::to_string).collect(),
        deny: network.deny.iter().map(ToString::to_string).collect(),
        deny_sockets: sockets.into_iter().cloned().collect(),
    }
}

fn of_service(service: &Service) -> BTreeSet<String> {
    let specs = service.spec.iter();
    specs
        .flat_map(|spec| {
            let ports = spec.ports.iter().flatten().map(|port| port.port);
            ports.flat_map(|port| {
                let addresses = spec.cluster_ips.iter().flatten();
                addresses.map(move |address| socket(address, port))
            })
        })
        .collect()
}

fn of_endpoints(slice: &EndpointSlice) -> BTreeSet<String> {
    let ports = slice.ports.iter().flatten().filter_map(|port| port.port);
    ports
        .flat_map(|port| {
            let endpoints = slice.endpoints.iter();
            let addresses = endpoints.flat_map(|endpoint| &endpoint.addresses);
            addresses.map(move |address| socket(address, port))
        })
        .collect()
}

fn socket(address: &str, port: i32) -> String {
    if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_address_of_the_api_server_is_known_once_both_lists_are() {
        let service: Service = serde_json::from_value(json!({
            "metadata": { "name": "kubernetes" },
            "spec": { "clusterIPs": ["10.96.0.1", "fd00::1"], "ports": [{ "port": 443 }] },
        }))
        .unwrap();
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": { "name": "kubernetes" },
            "addressType": "IPv4",
            "endpoints": [{ "addresses": ["10.0.0.7"] }, { "addresses": ["10.0.0.8"] }],
            "ports": [{ "port": 6443 }],
        }))
        .unwrap();
        let (mut services, mut endpoints) = (Sockets::default(), Sockets::default());
        let mut note = |event| services.apply(update(event, of_service).unwrap());
        assert!(!note(Ok(Event::Init)) && !note(Ok(Event::InitApply(service))));
        assert!(note(Ok(Event::InitDone)) && services.complete);
        let mut note =
            |slice| endpoints.apply(update(Ok(Event::Apply(slice)), of_endpoints).unwrap());
        assert!(note(slice.clone()));
        assert!(!note(slice), "the same again changes nothing");
        let known = rules(&Network::default(), &[&services, &endpoints]).deny_sockets;
        assert_eq!(
            known,
            [
                "10.0.0.7:6443",
                "10.0.0.8:6443",
                "10.96.0.1:443",
                "[fd00::1]:443"
            ]
        );
    }
}
