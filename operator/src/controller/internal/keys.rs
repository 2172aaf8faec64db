//! Keys and certificates of the Secrets that a plan refers to.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;

use crate::controller::{
    Context,
    error::{Doing, Problem, ReconcileError},
    names::Identity,
    references::Content,
};

/// Secrets of one namespace by name.
pub(super) struct Secrets(BTreeMap<String, Content>);

impl Secrets {
    /// Gets these Secrets, and has their changes wake the dataset.
    pub(super) async fn get(
        names: impl IntoIterator<Item = String>,
        identity: &Identity,
        ctx: &Context,
    ) -> Result<Self, ReconcileError> {
        let names: Vec<String> = names.into_iter().collect();
        let referrer = identity.referrer();
        ctx.shared.references.set(&referrer, names.iter().cloned());
        let api: Api<Secret> = Api::namespaced(ctx.shared.client.clone(), &identity.namespace);
        let mut found = BTreeMap::new();
        for name in names {
            let secret = (identity.namespace.clone(), name.clone());
            let content = match ctx.shared.references.known(&secret) {
                Ok(content) => content,
                Err(ticket) => {
                    let read = api
                        .get_opt(&name)
                        .await
                        .doing("reading a Secret that the Dataset names")?;
                    let content = read.map(|secret| Arc::new(secret.data.unwrap_or_default()));
                    ctx.shared.references.keep(&secret, ticket, content.clone());
                    content
                }
            };
            found.insert(name, content);
        }
        Ok(Self(found))
    }

    /// A value as text.
    ///
    /// # Errors
    /// What is missing, for the user.
    pub(super) fn text(&self, secret: &str, key: &str) -> Result<String, Problem> {
        let Some(found) = self.0.get(secret).and_then(Option::as_ref) else {
            return Err(Problem::pending(
                "SecretMissing",
                format!(
                    "Secret {secret} is not in this namespace; make it with the key {key}, and this heals by itself"
                ),
            ));
        };
        let value = found.get(key).ok_or_else(|| {
            let keys: Vec<&str> = found.keys().map(String::as_str).collect();
            let has = if keys.is_empty() { "no keys".to_owned() } else { keys.join(", ") };
            Problem::pending("SecretKeyMissing", format!("Secret {secret} has no key {key} (it has {has}); add it, and this heals by itself"))
        })?;
        String::from_utf8(value.0.clone()).map_err(|_| {
            Problem::pending(
                "SecretKeyInvalid",
                format!("Secret {secret}: the value of {key} is not UTF-8 text"),
            )
        })
    }
}
