//! The operator's address rules as they arrive, read into those of `dlf-core`.

use dlf_core::network::AddressRules;
use dlf_wire::dataset::v1::NetworkRules;

pub use dlf_core::network::BadRule;

/// Reads the rules. With a bad one nothing is dialled.
pub fn address_rules(rules: &NetworkRules) -> Result<AddressRules, BadRule> {
    AddressRules::parse(&rules.allow, &rules.deny, &rules.deny_sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_rule_spoils_all() {
        let good = NetworkRules {
            allow: vec!["10.0.0.0/8".into()],
            deny: vec!["2001:db8::/32".into()],
            deny_sockets: vec!["10.0.0.1:6443".into()],
        };
        assert_eq!(address_rules(&good).unwrap().deny_sockets.len(), 1);
        let bad = NetworkRules {
            deny: vec!["everything".into()],
            ..NetworkRules::default()
        };
        assert!(address_rules(&bad).is_err());
    }
}
