//! The operator's address rules as they arrive, read into those of `dlf-core`.

use std::str::FromStr;

use dlf_core::network::AddressRules;
use dlf_wire::dataset::v1::NetworkRules;

/// A rule that cannot be read. Nothing is dialled then: a rule we skip might be the one that counts.
#[derive(Debug, thiserror::Error)]
#[error("the operator's address rule {0:?} cannot be read: driver and operator differ in version")]
pub struct BadRule(String);

/// Reads the rules.
pub fn address_rules(rules: &NetworkRules) -> Result<AddressRules, BadRule> {
    Ok(AddressRules {
        allow: parse(&rules.allow)?,
        deny: parse(&rules.deny)?,
        deny_sockets: parse(&rules.deny_sockets)?,
    })
}

fn parse<T: FromStr>(texts: &[String]) -> Result<Vec<T>, BadRule> {
    let read = |text: &String| text.parse().map_err(|_| BadRule(text.clone()));
    texts.iter().map(read).collect()
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
