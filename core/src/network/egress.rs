//! The rules as a `NetworkPolicy` has them: for caches, whose programs are others' and dial what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::{AddressRules, KUBELET_PORT};

/// What is refused in any case, by family: the networks of [`super::Rule`]. Loopback is a pod's own.
const BUILT_IN: [(&str, &[&str]); 2] = [
    (
        "0.0.0.0/0",
        &[
            "0.0.0.0/8",
            "169.254.0.0/16",
            "224.0.0.0/4",
            "255.255.255.255/32",
        ],
    ),
    ("::/0", &["fe80::/10", "ff00::/8"]),
];

impl AddressRules {
    /// Egress rules of a `NetworkPolicy` (`networking.k8s.io/v1`) that let out what may be dialled by TCP: addresses
    /// and, since network plugins know those by other means, pods. The port of kubelets is out of bounds wherever
    /// it is, and of an address whose sockets are denied these ports only.
    #[must_use]
    pub fn egress(&self) -> Vec<Value> {
        let mut peers = self.blocks();
        peers.push(json!({ "namespaceSelector": {} }));
        let mut rules = vec![json!({ "to": peers, "ports": ports_but([KUBELET_PORT]) })];
        for (address, ports) in self.partly_denied() {
            let to = json!([{ "ipBlock": { "cidr": IpNet::from(address) } }]);
            let ports = ports_but(ports.into_iter().chain([KUBELET_PORT]));
            rules.push(json!({ "to": to, "ports": ports }));
        }
        if !self.allow.is_empty() {
            let allowed = self.allow.iter();
            let to: Vec<Value> = allowed
                .map(|net| json!({ "ipBlock": { "cidr": net.trunc() } }))
                .collect();
            rules.push(json!({ "to": to, "ports": ports_but([]) }));
        }
        rules
    }

    /// All addresses of both families without those that are denied, if any are left.
    fn blocks(&self) -> Vec<Value> {
        let of_sockets = self.deny_sockets.iter();
        let of_sockets = of_sockets.map(|socket| IpNet::from(socket.ip().to_canonical()));
        let denied: BTreeSet<IpNet> = self
            .deny
            .iter()
            .map(IpNet::trunc)
            .chain(of_sockets)
            .collect();
        let block = |(all, built_in): (&str, &[&str])| {
            let is_v4 = all.contains('.');
            let own = denied.iter().filter(|net| net.addr().is_ipv4() == is_v4);
            if own.clone().any(|net| net.prefix_len() == 0) {
                return None;
            }
            let built_in = built_in.iter().map(ToString::to_string);
            let except: Vec<String> = built_in.chain(own.map(ToString::to_string)).collect();
            Some(json!({ "ipBlock": { "cidr": all, "except": except } }))
        };
        BUILT_IN.into_iter().filter_map(block).collect()
    }

    /// Addresses of which some ports are denied, with these.
    fn partly_denied(&self) -> BTreeMap<IpAddr, BTreeSet<u16>> {
        let mut addresses = BTreeMap::<IpAddr, BTreeSet<u16>>::new();
        for socket in &self.deny_sockets {
            let address = socket.ip().to_canonical();
            if super::built_in(address).is_none() && self.denied_network(address).is_none() {
                addresses.entry(address).or_default().insert(socket.port());
            }
        }
        addresses
    }
}

/// All ports of TCP but these, in ranges.
fn ports_but(denied: impl IntoIterator<Item = u16>) -> Vec<Value> {
    let denied: BTreeSet<u16> = denied.into_iter().collect();
    let mut ranges = Vec::new();
    let mut first = 1;
    for port in denied
        .into_iter()
        .map(u32::from)
        .chain([u32::from(u16::MAX) + 1])
    {
        if first < port {
            ranges.push(json!({ "protocol": "TCP", "port": first, "endPort": port - 1 }));
        }
        first = port + 1;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;

    fn rules(allow: &[&str], deny: &[&str], sockets: &[&str]) -> AddressRules {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        AddressRules::parse(&owned(allow), &owned(deny), &owned(sockets)).unwrap()
    }

    /// Whether egress rules let a connection out, as the API's reference says of `ipBlock` and `endPort`.
    fn lets_out(egress: &[Value], socket: SocketAddr) -> bool {
        let within = |net: &Value| {
            let net: IpNet = net.as_str().unwrap().parse().unwrap();
            net.contains(&socket.ip())
        };
        let to = |peer: &Value| {
            let block = &peer["ipBlock"];
            let except = block["except"].as_array().into_iter().flatten();
            !block.is_null() && within(&block["cidr"]) && !except.into_iter().any(within)
        };
        let at = |range: &Value| {
            let port = u64::from(socket.port());
            range["port"].as_u64() <= Some(port) && Some(port) <= range["endPort"].as_u64()
        };
        let any =
            |list: &Value, fits: &dyn Fn(&Value) -> bool| list.as_array().unwrap().iter().any(fits);
        egress
            .iter()
            .any(|rule| any(&rule["to"], &to) && any(&rule["ports"], &at))
    }

    proptest! {
        #[test]
        fn a_policy_lets_out_what_the_rules_let_dial(
            address in prop_oneof![
                any::<[u8; 4]>().prop_map(IpAddr::from),
                any::<[u8; 16]>().prop_map(IpAddr::from),
                prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "10.1.2.3", "169.254.1.1", "224.0.0.1", "0.1.2.3",
                    "192.168.5.5", "fd00::1", "fe80::1", "ff02::1"]).prop_map(|text| text.parse().unwrap()),
            ],
            port in prop_oneof![prop::sample::select(vec![1_u16, 443, 6443, 6444, 10_249, 10_250, 10_251, 65_535]), 1_u16..],
            deny in prop::sample::subsequence(vec!["10.0.0.0/16", "192.168.0.0/16", "fd00::/8", "0.0.0.0/0"], 0..3),
            sockets in prop::sample::subsequence(vec!["10.0.0.1:443", "10.0.0.1:6443", "10.1.2.3:6443", "[fd00::1]:443"], 0..4),
            allow in prop::sample::subsequence(vec!["10.0.0.2/32", "192.168.5.0/24"], 0..2),
        ) {
            let address: IpAddr = address;
            let socket = SocketAddr::new(address.to_canonical(), port);
            // A pod's loopback is its own.
            prop_assume!(!socket.ip().is_loopback() && !socket.ip().is_unspecified());
            let rules = rules(&allow, &deny, &sockets);
            prop_assert_eq!(lets_out(&rules.egress(), socket), rules.check(socket).is_ok());
        }
    }

    #[test]
    fn a_family_that_is_denied_as_a_whole_has_no_block() {
        let egress = rules(&[], &["::/0"], &[]).egress();
        assert_eq!(egress[0]["to"].as_array().unwrap().len(), 2, "{egress:?}");
    }
}
