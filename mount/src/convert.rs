//! From what the node driver sends to what the object-store client takes.

mod roots;

use dlf_cache::{ClientOptions, ConfigError, Keys, ObjectStore, Origin, Shards};
use dlf_core::network::{AddressRules, BadRule};
use dlf_wire::dataset::v1 as wire;

use crate::fs::{Roots, source_timeout};

pub use self::roots::BadRoot;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// The message lacks a part that every version has.
    #[error("the configuration has no {0}")]
    Missing(&'static str),
    /// An origin is wrong.
    #[error(transparent)]
    Origin(#[from] ConfigError),
    /// A rule is neither a CIDR nor an `ip:port`.
    #[error(transparent)]
    Rule(#[from] BadRule),
    /// A directory of the mount cannot be shown as it is told.
    #[error(transparent)]
    Root(#[from] BadRoot),
}

/// The FUSE part of a dataset.
pub(crate) fn fuse_volume(
    dataset: &wire::DatasetConfig,
) -> Result<&wire::FuseVolume, InvalidConfig> {
    match &dataset.volume {
        Some(wire::dataset_config::Volume::Fuse(volume)) => Ok(volume),
        _ => Err(InvalidConfig::Missing("FUSE volume")),
    }
}

/// A client for a dataset's origins.
pub(crate) fn store(
    volume: &wire::FuseVolume,
    network: Option<&wire::NetworkRules>,
) -> Result<ObjectStore, InvalidConfig> {
    let options = ClientOptions {
        source_timeout: source_timeout(volume),
        key_grace: ClientOptions::KEY_GRACE_OF_MOUNT,
        rules: rules(network)?,
    };
    Ok(ObjectStore::new(origins(volume)?, options)?)
}

/// Gives a running client new origins and rules.
pub(crate) fn reconfigure(
    store: &ObjectStore,
    volume: &wire::FuseVolume,
    network: Option<&wire::NetworkRules>,
) -> Result<(), InvalidConfig> {
    let (origins, rules) = (origins(volume)?, rules(network)?);
    // The rules first: the new origins must never be dialled under the old ones.
    store.set_rules(rules)?;
    Ok(store.reconfigure(origins)?)
}

/// Which directories of the mount show which places.
pub(crate) fn roots(volume: &wire::FuseVolume) -> Result<Roots, InvalidConfig> {
    Ok(roots::roots(&volume.roots)?)
}

fn origins(volume: &wire::FuseVolume) -> Result<Vec<Origin>, InvalidConfig> {
    volume.origins.iter().map(origin).collect()
}

fn origin(origin: &wire::Origin) -> Result<Origin, InvalidConfig> {
    Ok(Origin {
        endpoint: origin.endpoint.parse()?,
        bucket: origin.bucket.clone(),
        prefix: origin.prefix.clone(),
        region: origin.region.clone(),
        keys: origin.keys.as_ref().map(|keys| Keys {
            access_key_id: keys.access_key_id.clone(),
            secret_access_key: keys.secret_access_key.clone(),
            session_token: non_empty(&keys.session_token),
        }),
        ca_pem: non_empty(&origin.ca_pem),
        shards: shards(origin)?,
    })
}

fn shards(origin: &wire::Origin) -> Result<Option<Shards>, InvalidConfig> {
    if origin.shards.is_empty() {
        return Ok(None);
    }
    let shards = Shards::new(origin.shards.clone(), origin.shard_bytes)?;
    Ok(Some(shards))
}

/// The rules of what may be dialled.
pub(crate) fn rules(network: Option<&wire::NetworkRules>) -> Result<AddressRules, InvalidConfig> {
    // Without rules everything built in would be allowed to be dialled but nothing of the
    // cluster's own refused: a sender that has none says so with empty lists.
    let network = network.ok_or(InvalidConfig::Missing("network rules"))?;
    Ok(AddressRules::parse(
        &network.allow,
        &network.deny,
        &network.deny_sockets,
    )?)
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_or_named() {
        let network = wire::NetworkRules {
            allow: vec!["10.0.0.0/8".into()],
            deny: vec!["192.168.0.0/16".into()],
            deny_sockets: vec!["[fd00::1]:443".into()],
        };
        let rules = rules(Some(&network)).unwrap();
        assert_eq!(rules.allow.len(), 1);
        assert_eq!(rules.deny_sockets[0].port(), 443);

        let network = wire::NetworkRules {
            deny: vec!["nonsense".into()],
            ..wire::NetworkRules::default()
        };
        let error = super::rules(Some(&network)).unwrap_err();
        assert!(error.to_string().contains("nonsense"), "{error}");
    }

    #[test]
    fn a_start_without_rules_is_refused() {
        assert!(matches!(rules(None), Err(InvalidConfig::Missing(_))));
    }

    #[test]
    fn an_origin_without_keys_is_anonymous() {
        let origin = origin(&wire::Origin {
            endpoint: "http://s3.example.com".into(),
            bucket: "b".into(),
            ..wire::Origin::default()
        });
        let origin = origin.unwrap();
        assert!(origin.keys.is_none() && origin.ca_pem.is_none());
    }
}
