//! Which network addresses DLF dials on behalf of a tenant.
//!
//! Tenants choose endpoints, and the programs that dial them (worker, mounts, caches, node driver)
//! stand in places a tenant does not: beside the kubelet, inside the pod network, in the API
//! server's reach. These rules say which sockets are out of bounds. They are applied to the very
//! address that is dialled, after name resolution and again on every redirect; a check of the name
//! alone would be undone by a second answer of the same DNS server.

mod egress;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The kubelet's port on every node: whoever reaches it may run commands in pods, if it lets him.
const KUBELET_PORT: u16 = 10_250;

/// The rules, as the operator hands them to every program that dials.
///
/// Order: `allow`, then the built-in refusals and `deny`, then `deny_sockets`; what none of them
/// names may be dialled. The default refuses the built-in ranges only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AddressRules {
    /// Networks that may be dialled whatever the other rules say (`[network] allow`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<IpNet>,
    /// Networks that may not, beyond the built-in ones (`[network] deny`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<IpNet>,
    /// Single sockets that may not: the API server's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny_sockets: Vec<SocketAddr>,
}

impl AddressRules {
    /// Reads rules as they travel between our programs.
    ///
    /// One that cannot be read spoils them all: it might be the one that counts.
    pub fn parse(
        allow: &[String],
        deny: &[String],
        deny_sockets: &[String],
    ) -> Result<Self, BadRule> {
        Ok(Self {
            allow: read(allow)?,
            deny: read(deny)?,
            deny_sockets: read(deny_sockets)?,
        })
    }

    /// Says whether `socket` may be dialled.
    ///
    /// An IPv4 address written as IPv6 (`::ffff:127.0.0.1`) is judged as the IPv4 address that the
    /// kernel would dial, in the rules as well as in the question.
    pub fn check(&self, socket: SocketAddr) -> Result<(), AddressNotAllowed> {
        let address = socket.ip().to_canonical();
        if self.allow.iter().any(|net| contains(net, address)) {
            return Ok(());
        }
        let rule = built_in(address)
            .or_else(|| (socket.port() == KUBELET_PORT).then_some(Rule::Kubelet))
            .or_else(|| self.denied_network(address))
            .or_else(|| self.denied_socket(SocketAddr::new(address, socket.port())));
        match rule {
            None => Ok(()),
            Some(rule) => Err(AddressNotAllowed {
                address: SocketAddr::new(address, socket.port()),
                rule,
            }),
        }
    }

    fn denied_network(&self, address: IpAddr) -> Option<Rule> {
        let net = self.deny.iter().find(|net| contains(net, address))?;
        Some(Rule::Network(*net))
    }

    fn denied_socket(&self, socket: SocketAddr) -> Option<Rule> {
        let same = |denied: &SocketAddr| {
            denied.port() == socket.port() && denied.ip().to_canonical() == socket.ip()
        };
        self.deny_sockets.iter().any(same).then_some(Rule::Socket)
    }
}

/// A rule that cannot be read: sender and receiver differ in version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address rule {0:?} cannot be read")]
pub struct BadRule(String);

fn read<T: FromStr>(rules: &[String]) -> Result<Vec<T>, BadRule> {
    let read = |rule: &String| rule.parse().map_err(|_| BadRule(rule.clone()));
    rules.iter().map(read).collect()
}

/// The refusal of an address, with the rule that refused it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} may not be dialled: {rule}")]
pub struct AddressNotAllowed {
    /// What was to be dialled.
    pub address: SocketAddr,
    /// Why it was not.
    pub rule: Rule,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// 127.0.0.0/8 and `::1`: the program that dials is not the tenant's machine.
    Loopback,
    /// 169.254.0.0/16 and `fe80::/10`: among them the metadata services of the clouds.
    LinkLocal,
    /// 224.0.0.0/4, `ff00::/8` and the broadcast address.
    Multicast,
    /// 0.0.0.0/8 and `::`, which Linux takes for the local machine.
    Unspecified,
    /// A network of the configuration's `[network] deny`.
    Network(IpNet),
    /// Port 10250, wherever: a list of all nodes' addresses would be long, late and sent to everybody.
    Kubelet,
    /// A socket of the API server's.
    Socket,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("it is a loopback address"),
            Self::LinkLocal => f.write_str("it is a link-local address"),
            Self::Multicast => f.write_str("it is a multicast or broadcast address"),
            Self::Unspecified => f.write_str("it is an unspecified address"),
            Self::Network(net) => write!(f, "{net} is listed in `[network] deny`"),
            Self::Kubelet => write!(f, "port {KUBELET_PORT} is the kubelet's"),
            Self::Socket => f.write_str("it belongs to the cluster's API server"),
        }
    }
}

/// What no configuration needs to list. `address` is canonical.
fn built_in(address: IpAddr) -> Option<Rule> {
    let (unspecified, link_local, broadcast) = match address {
        IpAddr::V4(v4) => (v4.octets()[0] == 0, v4.is_link_local(), v4.is_broadcast()),
        IpAddr::V6(v6) => (v6.is_unspecified(), v6.is_unicast_link_local(), false),
    };
    if unspecified {
        Some(Rule::Unspecified)
    } else if address.is_loopback() {
        Some(Rule::Loopback)
    } else if link_local {
        Some(Rule::LinkLocal)
    } else if address.is_multicast() || broadcast {
        Some(Rule::Multicast)
    } else {
        None
    }
}

/// Whether `net` holds the canonical `address`; a net of v4-mapped addresses holds IPv4 ones.
fn contains(net: &IpNet, address: IpAddr) -> bool {
    /// Length of the `::ffff:0:0` prefix before the four octets of a mapped address.
    const MAPPED_PREFIX_BITS: u8 = 96;
    let (IpNet::V6(v6), IpAddr::V4(v4)) = (net, address) else {
        return net.contains(&address);
    };
    v6.prefix_len() >= MAPPED_PREFIX_BITS && v6.contains(&v4.to_ipv6_mapped())
}

#[cfg(test)]
mod tests;
