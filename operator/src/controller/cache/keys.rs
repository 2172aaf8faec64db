//! The source's keys, for the pods of a cache whose plugin was granted them.

use std::collections::BTreeMap;

use dlf_core::{plugin::CachePlace, source::keys};
use dlf_wire::dataset::v1::Origin;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::controller::error::Problem;

/// Key of the source's private CA, in PEM.
const CA: &str = "ca.crt";

/// The Secret of the name that the plugin was told; none where it was told none.
///
/// # Errors
/// What of the source's keys is missing, if they are needed.
pub(super) fn secret(
    place: &CachePlace,
    source: &Result<Origin, Problem>,
) -> Result<Option<Value>, Problem> {
    let Some(name) = &place.key_secret else {
        return Ok(None);
    };
    let source = source.as_ref().map_err(Clone::clone)?;
    let found = source.keys.iter().flat_map(|found| {
        [
            (keys::ACCESS_KEY_ID, &found.access_key_id),
            (keys::SECRET_ACCESS_KEY, &found.secret_access_key),
            (keys::SESSION_TOKEN, &found.session_token),
        ]
    });
    let data: BTreeMap<&str, ByteString> = found
        .chain([(CA, &source.ca_pem)])
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key, ByteString(value.clone().into_bytes())))
        .collect();
    Ok(Some(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": { "name": name, "namespace": place.namespace, "labels": place.labels },
        "data": data,
    })))
}

#[cfg(test)]
mod tests {
    use dlf_wire::dataset::v1::Keys;

    use super::*;

    #[test]
    fn pods_of_a_cache_find_the_keys_that_the_source_has() {
        let place = CachePlace {
            namespace: "dlf-caches".to_owned(),
            name: "cache-1".to_owned(),
            labels: BTreeMap::new(),
            key_secret: Some("cache-1-source".to_owned()),
        };
        let source = Origin {
            keys: Some(Keys {
                access_key_id: "id".to_owned(),
                secret_access_key: "secret".to_owned(),
                session_token: String::new(),
            }),
            ca_pem: "pem".to_owned(),
            ..Origin::default()
        };
        let made = secret(&place, &Ok(source)).unwrap().unwrap();
        assert_eq!(
            made["data"],
            json!({ "accessKeyID": "aWQ=", "secretAccessKey": "c2VjcmV0", "ca.crt": "cGVt" })
        );
        let missing = Err(Problem::pending("SecretMissing", "no Secret keys"));
        assert!(secret(&place, &missing).is_err());
        let unasked = CachePlace {
            key_secret: None,
            ..place
        };
        assert!(matches!(secret(&unasked, &missing), Ok(None)));
    }
}
