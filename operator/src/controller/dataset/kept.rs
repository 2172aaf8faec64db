//! Resolved origins as a Secret in the operator's namespace keeps them: the user's Secret may be
//! gone before the Dataset is.

use base64::{Engine, prelude::BASE64_STANDARD};
use dlf_wire::dataset::v1::{Keys, Origin};
use k8s_openapi::api::core::v1::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::controller::names::Identity;

/// The key the origins stand under.
const ORIGINS: &str = "origins";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    endpoint: String,
    bucket: String,
    prefix: String,
    region: String,
    keys: Option<(String, String)>,
    /// Of temporary keys. A Secret that an earlier version wrote has none.
    #[serde(default)]
    session_token: String,
    ca_pem: String,
    #[serde(default)]
    shards: Vec<String>,
    #[serde(default)]
    shard_bytes: u64,
}

/// The Secret of these origins.
pub(super) fn secret(identity: &Identity, namespace: &str, origins: &[Origin]) -> Value {
    let kept: Vec<Kept> = origins.iter().map(keep).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": identity.handle(), "namespace": namespace, "labels": identity.labels() },
        "data": { ORIGINS: BASE64_STANDARD.encode(json!(kept).to_string()) },
    })
}

/// The origins of such a Secret; none when somebody has spoilt it.
pub(super) fn read(secret: &Secret) -> Option<Vec<Origin>> {
    let bytes = &secret.data.as_ref()?.get(ORIGINS)?.0;
    let kept: Vec<Kept> = serde_json::from_slice(bytes).ok()?;
    Some(kept.into_iter().map(give_back).collect())
}

fn keep(origin: &Origin) -> Kept {
    let keys = origin.keys.as_ref();
    Kept {
        endpoint: origin.endpoint.clone(),
        bucket: origin.bucket.clone(),
        prefix: origin.prefix.clone(),
        region: origin.region.clone(),
        keys: keys.map(|keys| (keys.access_key_id.clone(), keys.secret_access_key.clone())),
        session_token: keys.map_or_else(String::new, |keys| keys.session_token.clone()),
        ca_pem: origin.ca_pem.clone(),
        shards: origin.shards.clone(),
        shard_bytes: origin.shard_bytes,
    }
}

fn give_back(kept: Kept) -> Origin {
    let keys = kept.keys.map(|(access_key_id, secret_access_key)| Keys {
        access_key_id,
        secret_access_key,
        session_token: kept.session_token,
    });
    Origin {
        endpoint: kept.endpoint,
        bucket: kept.bucket,
        prefix: kept.prefix,
        region: kept.region,
        keys,
        ca_pem: kept.ca_pem,
        shards: kept.shards,
        shard_bytes: kept.shard_bytes,
    }
}

#[cfg(test)]
mod tests {
    use dlf_core::api::ApiGroup;

    use super::*;

    #[test]
    fn what_is_kept_is_given_back() {
        let keys = Keys {
            access_key_id: "id".into(),
            secret_access_key: "key".into(),
            session_token: "token".into(),
        };
        let origins = vec![
            Origin {
                endpoint: "http://s3".into(),
                bucket: "b".into(),
                prefix: "p/".into(),
                keys: Some(keys),
                shards: vec!["http://shard".into()],
                shard_bytes: 1,
                ..Origin::default()
            },
            Origin::default(),
        ];
        let identity = Identity {
            group: ApiGroup::Hpsys,
            namespace: "ns".into(),
            name: "n".into(),
            uid: "u".into(),
        };
        let made: Secret =
            serde_json::from_value(secret(&identity, "dlf-system", &origins)).unwrap();
        assert_eq!(read(&made), Some(origins));
    }
}
