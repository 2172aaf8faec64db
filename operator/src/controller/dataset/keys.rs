//! Keys and certificates of the Secrets that a plan refers to.

use std::{collections::BTreeMap, sync::Arc};

use dlf_core::source::keys::names_of;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::Api;

use crate::controller::{
    Context,
    context::references::Content,
    error::{Doing, Problem, ReconcileError},
    names::Identity,
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
        Self::read(names, identity, ctx).await
    }

    /// Gets these Secrets.
    pub(super) async fn read(
        names: impl IntoIterator<Item = String>,
        identity: &Identity,
        ctx: &Context,
    ) -> Result<Self, ReconcileError> {
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

    /// Adds one that nobody has to read.
    pub(super) fn insert<const N: usize>(&mut self, name: &str, entries: [(&str, &str); N]) {
        let bytes = |value: &str| ByteString(value.as_bytes().to_vec());
        let data = entries.map(|(key, value)| (key.to_owned(), bytes(value)));
        self.0.insert(name.to_owned(), Some(Arc::new(data.into())));
    }

    /// A value as text, under whichever of its names.
    ///
    /// # Errors
    /// What is missing, for the user.
    pub(super) fn text(&self, secret: &str, key: &str) -> Result<String, Problem> {
        let found = self.content(secret, key)?;
        let value = value(found, key).ok_or_else(|| {
            let keys: Vec<&str> = found.keys().map(String::as_str).collect();
            let has = if keys.is_empty() { "no keys".to_owned() } else { keys.join(", ") };
            Problem::pending("SecretKeyMissing", format!("Secret {secret} has no key {key} (it has {has}); add it, and this heals by itself"))
        })?;
        text(secret, key, value)
    }

    /// A value that a Secret may go without; none where it is empty, too.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub(super) fn optional(&self, secret: &str, key: &str) -> Result<Option<String>, Problem> {
        let Some(value) = value(self.content(secret, key)?, key) else {
            return Ok(None);
        };
        let text = text(secret, key, value)?;
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }

    fn content(&self, secret: &str, key: &str) -> Result<&Values, Problem> {
        let found = self.0.get(secret).and_then(Option::as_deref);
        found.ok_or_else(|| {
            Problem::pending(
                "SecretMissing",
                format!(
                    "Secret {secret} is not in this namespace; make it with the key {key}, and this heals by itself"
                ),
            )
        })
    }
}

/// What stands in a Secret.
type Values = BTreeMap<String, ByteString>;

fn value<'a>(found: &'a Values, key: &str) -> Option<&'a ByteString> {
    names_of(key).into_iter().find_map(|name| found.get(name))
}

fn text(secret: &str, key: &str, value: &ByteString) -> Result<String, Problem> {
    String::from_utf8(value.0.clone()).map_err(|_| {
        Problem::pending(
            "SecretKeyInvalid",
            format!("Secret {secret}: the value of {key} is not UTF-8 text"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[(&str, &str)]) -> Secrets {
        let values = values.iter().map(|(key, value)| {
            let value = ByteString(value.as_bytes().to_vec());
            ((*key).to_owned(), value)
        });
        Secrets(BTreeMap::from([(
            "mine".to_owned(),
            Some(Arc::new(values.collect())),
        )]))
    }

    #[test]
    fn a_secret_may_have_the_names_of_the_tools_that_issue_keys_and_ours_win() {
        for id in ["accessKeyID", "AWS_ACCESS_KEY_ID", "aws_access_key_id"] {
            let found = secrets(&[(id, "AK")]).text("mine", "accessKeyID");
            assert_eq!(found.unwrap(), "AK");
        }
        for token in ["sessionToken", "AWS_SESSION_TOKEN", "aws_session_token"] {
            let found = secrets(&[(token, "T")]).optional("mine", "sessionToken");
            assert_eq!(found.unwrap().as_deref(), Some("T"));
        }
        let both = secrets(&[("AWS_ACCESS_KEY_ID", "theirs"), ("accessKeyID", "ours")]);
        assert_eq!(both.text("mine", "accessKeyID").unwrap(), "ours");
    }

    #[test]
    fn keys_that_last_have_no_token_and_nothing_is_missing() {
        for values in [&[][..], &[("sessionToken", "")], &[("sessionToken", "\n")]] {
            let found = secrets(values).optional("mine", "sessionToken");
            assert_eq!(found.unwrap(), None, "{values:?}");
        }
        let gone = secrets(&[]).optional("gone", "sessionToken").unwrap_err();
        assert_eq!(gone.reason, "SecretMissing");
        let missing = secrets(&[("a", "b")]).text("mine", "accessKeyID");
        assert_eq!(missing.unwrap_err().reason, "SecretKeyMissing");
    }
}
