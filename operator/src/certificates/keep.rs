use std::{
    pin::pin,
    time::{Duration, SystemTime},
};

use futures::{Stream, StreamExt, stream};
use k8s_openapi::{
    ByteString,
    api::{
        admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
        core::v1::{ConfigMap, Secret},
    },
};
use kube::{
    Client, Resource, ResourceExt,
    api::{Api, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use thiserror::Error;
use tracing::{info, warn};

use super::{
    Leaf, NAME,
    authority::CertificateError,
    keyring::Keyring,
    publish::{WEBHOOKS, publish_bundle, trust},
};

/// Key of the keyring in the Secret.
const KEYRING_KEY: &str = "keyring";
/// Rotation looks this often, and a leaf is made anew this often: within the day by which a
/// certificate is backdated, so that a clock that jumped does no harm for long.
pub(super) const REFRESH: Duration = Duration::from_hours(1);
/// Wait after something failed.
pub(super) const RETRY: Duration = Duration::from_secs(2);

#[derive(Debug, Error)]
pub(super) enum KeepError {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("Secret dlf-ca holds no keyring that can be read; delete it to have a new one made")]
    Unreadable,
}

/// Keeps the authority, its public bundle, and the webhooks' trust in it. Runs for ever, on the
/// leader alone.
pub async fn keep_authority(client: Client, namespace: String) {
    let secrets = changes::<Secret>(Api::namespaced(client.clone(), &namespace), NAME);
    let bundles = changes::<ConfigMap>(Api::namespaced(client.clone(), &namespace), NAME);
    let mutating = changes::<MutatingWebhookConfiguration>(Api::all(client.clone()), WEBHOOKS);
    let validating = changes::<ValidatingWebhookConfiguration>(Api::all(client.clone()), WEBHOOKS);
    let mut changes = pin!(stream::select(
        stream::select(secrets, bundles),
        stream::select(mutating, validating)
    ));
    loop {
        let wait = match put_right(&client, &namespace).await {
            Ok(()) => REFRESH,
            Err(error) => {
                warn!(%error, "the certificate authority is not in order yet");
                RETRY
            }
        };
        tokio::select! {
            _ = changes.next() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn put_right(client: &Client, namespace: &str) -> Result<(), KeepError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let keyring = match secrets.get_opt(NAME).await? {
        None => create(&secrets).await?,
        Some(secret) => rotate(&secrets, &secret).await?,
    };
    let bundle = keyring.bundle();
    publish_bundle(client, namespace, &bundle).await?;
    trust::<MutatingWebhookConfiguration>(client, &bundle).await?;
    trust::<ValidatingWebhookConfiguration>(client, &bundle).await?;
    Ok(())
}

async fn create(secrets: &Api<Secret>) -> Result<Keyring, KeepError> {
    let keyring = Keyring::generate(SystemTime::now())?;
    let mut secret = Secret::default();
    secret.metadata.name = Some(NAME.to_owned());
    secret.data = Some([(KEYRING_KEY.to_owned(), encode(&keyring))].into());
    info!("making the certificate authority");
    secrets.create(&PostParams::default(), &secret).await?;
    Ok(keyring)
}

async fn rotate(secrets: &Api<Secret>, secret: &Secret) -> Result<Keyring, KeepError> {
    let keyring = decode(secret).ok_or(KeepError::Unreadable)?;
    let Some(stepped) = keyring.step(SystemTime::now())? else {
        return Ok(keyring);
    };
    info!("taking the next step of rotating the certificate authority");
    // With its version: a former leader that is late must not undo a step.
    let patch = json!({
        "metadata": { "resourceVersion": secret.metadata.resource_version },
        "data": { KEYRING_KEY: encode(&stepped) },
    });
    secrets
        .patch(NAME, &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    Ok(stepped)
}

/// The keyring as it is; none while the leader has not made the authority yet.
pub(super) async fn keyring(secrets: &Api<Secret>) -> Result<Option<Keyring>, KeepError> {
    let secret = secrets.get_opt(NAME).await?;
    secret
        .map(|secret| decode(&secret).ok_or(KeepError::Unreadable))
        .transpose()
}

fn encode(keyring: &Keyring) -> ByteString {
    ByteString(json!(keyring).to_string().into_bytes())
}

fn decode(secret: &Secret) -> Option<Keyring> {
    serde_json::from_slice(&secret.data.as_ref()?.get(KEYRING_KEY)?.0).ok()
}

/// Keeps this replica's certificate: made anew when the authority changes, and every hour. Runs for
/// ever, on every replica.
/// `issued` is called each time there is one.
pub async fn keep_leaf(client: Client, namespace: String, leaf: Leaf, issued: impl Fn() + Send) {
    let names = ["dlf-webhook", "dlf-nodes"]
        .iter()
        .flat_map(|service| {
            let short = format!("{service}.{namespace}.svc");
            [format!("{short}.cluster.local"), short]
        })
        .collect::<Vec<_>>();
    let secrets: Api<Secret> = Api::namespaced(client, &namespace);
    let mut changes = pin!(changes::<Secret>(secrets.clone(), NAME));
    loop {
        let wait = match issue(&secrets, &names, &leaf).await {
            Ok(true) => {
                issued();
                REFRESH
            }
            Ok(false) => RETRY,
            Err(error) => {
                warn!(%error, "this replica has no new certificate");
                RETRY
            }
        };
        tokio::select! {
            _ = changes.next() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// True when a certificate was made; false while the leader has not made the authority yet.
async fn issue(secrets: &Api<Secret>, names: &[String], leaf: &Leaf) -> Result<bool, KeepError> {
    let Some(keyring) = keyring(secrets).await? else {
        return Ok(false);
    };
    let certificate = keyring.active.issue(names, SystemTime::now())?;
    leaf.set(certificate, keyring.bundle());
    Ok(true)
}

/// One item whenever the object of this name changes.
pub(super) fn changes<K>(api: Api<K>, name: &str) -> impl Stream<Item = ()> + Send + use<K>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watcher(api, config)
        .default_backoff()
        .touched_objects()
        .filter_map(|found| async move {
            found
                .inspect_err(|error| warn!(%error, "a watch failed and is tried again"))
                .ok()
                .map(|object| {
                    tracing::debug!(name = object.name_any(), "changed");
                })
        })
}
