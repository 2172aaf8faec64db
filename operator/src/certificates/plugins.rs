//! Certificates that isolated plugins show the operator.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::SystemTime,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Client, ResourceExt,
    api::{Api, DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::{
    NAME,
    keep::{KeepError, REFRESH, RETRY, changes, keyring},
    keyring::Keyring,
};

const FIELD_MANAGER: &str = "dlf-operator";
/// Label of these Secrets: the plugin's name.
const LABEL: &str = "dlf.dev/plugin-certificate";
/// Annotation: which authority signed, and under which names; another is made when that changes.
const MADE_OF: &str = "dlf.dev/made-of";
/// Annotation: seconds since 1970 when it was made.
const MADE_AT: &str = "dlf.dev/made-at";
/// A certificate is made anew at this age, well before its week is over.
const AGE_MAX: u64 = 2 * 24 * 3600;

/// Keeps Secret `dlf-plugin-NAME` for each isolated plugin, given with the host of its URL, and none
/// for others. Runs for ever, on the leader alone.
pub async fn keep_plugin_certificates(
    client: Client,
    namespace: String,
    plugins: BTreeMap<String, String>,
) {
    let secrets: Api<Secret> = Api::namespaced(client, &namespace);
    let mut changes = pin!(changes::<Secret>(secrets.clone(), NAME));
    loop {
        let wait = match put_right(&secrets, &namespace, &plugins).await {
            Ok(true) => REFRESH,
            Ok(false) => RETRY,
            Err(error) => {
                warn!(%error, "certificates of plugins are not in order yet");
                RETRY
            }
        };
        tokio::select! {
            _ = changes.next() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// False while the authority was not made yet.
async fn put_right(
    secrets: &Api<Secret>,
    namespace: &str,
    plugins: &BTreeMap<String, String>,
) -> Result<bool, KeepError> {
    let Some(keyring) = keyring(secrets).await? else {
        return Ok(false);
    };
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    let labelled = ListParams::default().labels(LABEL);
    let known: BTreeMap<String, Secret> = secrets
        .list(&labelled)
        .await?
        .into_iter()
        .map(|secret| (secret.name_any(), secret))
        .collect();
    for (plugin, host) in plugins {
        let name = format!("dlf-plugin-{plugin}");
        let short = [name.clone(), format!("{name}.{namespace}")];
        let names: BTreeSet<String> = short
            .into_iter()
            .chain([format!("{name}.{namespace}.svc"), host.clone()])
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        let made_of = made_of(&keyring, &names);
        let is_good = known
            .get(&name)
            .is_some_and(|secret| is_fresh(secret, &made_of));
        if !is_good {
            info!(plugin, "making the certificate that it shows");
            write(secrets, &name, plugin, &names, &made_of, &keyring).await?;
        }
        wanted.insert(name);
    }
    for name in known.into_keys().filter(|name| !wanted.contains(name)) {
        match secrets.delete(&name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => drop(other?),
        }
    }
    Ok(true)
}

fn made_of(keyring: &Keyring, names: &[String]) -> String {
    let text = format!("{} {}", keyring.bundle(), names.join(" "));
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

fn is_fresh(secret: &Secret, made_of: &str) -> bool {
    let annotation = |name: &str| secret.annotations().get(name).map(String::as_str);
    let made_at = annotation(MADE_AT).and_then(|text| text.parse::<u64>().ok());
    let age = made_at.map(|made_at| seconds().abs_diff(made_at));
    annotation(MADE_OF) == Some(made_of) && age.is_some_and(|age| age < AGE_MAX)
}

fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

async fn write(
    secrets: &Api<Secret>,
    name: &str,
    plugin: &str,
    names: &[String],
    made_of: &str,
    keyring: &Keyring,
) -> Result<(), KeepError> {
    let (certificate, key) = keyring.active.issue_pem(name, names, SystemTime::now())?;
    let encode = |text: &str| BASE64_STANDARD.encode(text);
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": { LABEL: plugin },
            "annotations": { MADE_OF: made_of, MADE_AT: seconds().to_string() },
        },
        "type": "kubernetes.io/tls",
        "data": {
            "tls.crt": encode(&certificate),
            "tls.key": encode(&key),
            "ca.crt": encode(&keyring.bundle()),
        },
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    secrets.patch(name, &params, &Patch::Apply(secret)).await?;
    Ok(())
}
