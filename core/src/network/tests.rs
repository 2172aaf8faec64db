use std::net::{Ipv4Addr, SocketAddr};

use proptest::prelude::*;

use super::*;

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn refused(rules: &AddressRules, address: &str) -> Option<Rule> {
    rules.check(socket(address)).err().map(|error| error.rule)
}

#[test]
fn built_in_ranges_are_refused_without_configuration() {
    let rules = AddressRules::default();
    for (address, rule) in [
        ("127.0.0.1:80", Rule::Loopback),
        ("127.255.3.4:80", Rule::Loopback),
        ("[::1]:80", Rule::Loopback),
        ("[::ffff:127.0.0.1]:80", Rule::Loopback),
        ("169.254.169.254:80", Rule::LinkLocal),
        ("[::ffff:169.254.169.254]:80", Rule::LinkLocal),
        ("[fe80::1]:80", Rule::LinkLocal),
        ("[febf::1]:80", Rule::LinkLocal),
        ("224.0.0.1:80", Rule::Multicast),
        ("255.255.255.255:80", Rule::Multicast),
        ("[ff02::1]:80", Rule::Multicast),
        ("0.0.0.0:80", Rule::Unspecified),
        ("0.1.2.3:80", Rule::Unspecified),
        ("[::]:80", Rule::Unspecified),
        ("[::ffff:0.0.0.0]:80", Rule::Unspecified),
        ("10.0.0.5:10250", Rule::Kubelet),
        ("[fd00::5]:10250", Rule::Kubelet),
    ] {
        assert_eq!(refused(&rules, address), Some(rule), "{address}");
    }
    for address in [
        "10.0.0.1:443",
        "192.168.1.1:80",
        "8.8.8.8:53",
        "[fd00::1]:9000",
    ] {
        assert_eq!(refused(&rules, address), None, "{address}");
    }
}

#[test]
fn allow_comes_before_everything_else() {
    let rules = AddressRules {
        allow: vec![
            "127.0.0.1/32".parse().unwrap(),
            "10.1.0.0/16".parse().unwrap(),
        ],
        deny: vec!["10.0.0.0/8".parse().unwrap()],
        deny_sockets: vec![socket("10.1.2.3:6443")],
    };
    assert_eq!(refused(&rules, "127.0.0.1:9000"), None);
    assert_eq!(refused(&rules, "[::ffff:127.0.0.1]:9000"), None);
    assert_eq!(refused(&rules, "127.0.0.2:9000"), Some(Rule::Loopback));
    assert_eq!(refused(&rules, "10.1.2.3:6443"), None);
    assert_eq!(
        refused(&rules, "10.2.0.1:80"),
        Some(Rule::Network("10.0.0.0/8".parse().unwrap()))
    );
}

#[test]
fn a_socket_is_refused_on_its_port_only() {
    let rules = AddressRules {
        deny_sockets: vec![socket("10.96.0.1:443"), socket("[::ffff:10.0.0.5]:6443")],
        ..AddressRules::default()
    };
    assert_eq!(refused(&rules, "10.96.0.1:443"), Some(Rule::Socket));
    assert_eq!(
        refused(&rules, "[::ffff:10.96.0.1]:443"),
        Some(Rule::Socket)
    );
    assert_eq!(refused(&rules, "10.0.0.5:6443"), Some(Rule::Socket));
    assert_eq!(refused(&rules, "10.96.0.1:9000"), None);
}

#[test]
fn a_network_of_mapped_addresses_holds_ipv4_ones() {
    let rules = AddressRules {
        deny: vec![
            "::ffff:10.0.0.0/104".parse().unwrap(),
            "::/0".parse().unwrap(),
        ],
        ..AddressRules::default()
    };
    assert!(refused(&rules, "10.9.9.9:80").is_some());
    assert_eq!(refused(&rules, "11.0.0.1:80"), None, "::/0 is about IPv6");
    assert!(refused(&rules, "[2001:db8::1]:80").is_some());
}

#[test]
fn a_refusal_reads_as_a_sentence() {
    let error = AddressRules::default()
        .check(socket("169.254.169.254:80"))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "169.254.169.254:80 may not be dialled: it is a link-local address"
    );
}

#[test]
fn rules_travel_as_json() {
    let text = r#"{"allow":["10.0.0.0/8"],"denySockets":["10.96.0.1:443"]}"#;
    let rules: AddressRules = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&rules).unwrap(), text);
    assert_eq!(
        serde_json::from_str::<AddressRules>("{}").unwrap(),
        AddressRules::default()
    );
}

proptest! {
    #[test]
    fn mapped_and_plain_ipv4_are_judged_alike(bits: u32, port: u16, denied: u32, length in 0u8..=32) {
        let v4 = Ipv4Addr::from_bits(bits);
        let net = ipnet::Ipv4Net::new(Ipv4Addr::from_bits(denied), length).unwrap();
        let rules = AddressRules { deny: vec![IpNet::V4(net)], ..AddressRules::default() };
        let plain = rules.check(SocketAddr::new(v4.into(), port));
        let mapped = rules.check(SocketAddr::new(v4.to_ipv6_mapped().into(), port));
        prop_assert_eq!(plain, mapped);
    }

    #[test]
    fn an_allowed_address_is_never_refused(bits: u32, port: u16) {
        let v4 = Ipv4Addr::from_bits(bits);
        let rules = AddressRules {
            allow: vec![IpNet::from(IpAddr::from(v4))],
            deny: vec![IpNet::from(IpAddr::from(v4))],
            deny_sockets: vec![SocketAddr::new(v4.into(), port)],
        };
        prop_assert!(rules.check(SocketAddr::new(v4.into(), port)).is_ok());
    }
}
