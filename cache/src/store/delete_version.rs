//! Deleting one version of an object, and never the one that replaced it.

use http::Method;
use http::header::IF_MATCH;

use super::ObjectStore;
use crate::error::{ErrorKind, StoreError};
use crate::object::ETag;
use crate::origin::Origin;
use crate::request::Request;

impl ObjectStore {
    /// Deletes the object at `key` if it is still `version`; one that is not there is no error.
    ///
    /// [`ErrorKind::PreconditionFailed`] if it was replaced. A store that heeds `If-Match` of a
    /// `DELETE` never deletes another version. With one that does not, a version is lost that is
    /// written in the moment between a look at the object and its deletion.
    pub async fn delete_version(&self, key: &str, version: &ETag) -> Result<(), StoreError> {
        let mut retries = self.retries();
        let mut condition = Some(version);
        loop {
            let within = self.with_timeout(retries.remaining());
            // Right before each attempt, however long the one before took.
            if !within.is_there(key, version).await? {
                return Ok(());
            }
            let Err(error) = within.try_delete(key, condition).await else {
                return Ok(());
            };
            match error.kind() {
                ErrorKind::NotFound => return Ok(()),
                // Some stores say so of an object that an attempt of ours has deleted.
                ErrorKind::PreconditionFailed if !within.is_there(key, version).await? => {
                    return Ok(());
                }
                ErrorKind::Unsupported if condition.is_some() => {
                    tracing::debug!("the store knows no conditional deletion");
                    condition = None;
                }
                // The look waits for other keys.
                kind if (kind.may_pass() || self.waits_for_keys(kind)) && retries.pause().await => {
                    self.counters().retry();
                    tracing::debug!(%error, "asking again");
                }
                _ => {
                    self.counters().error();
                    return Err(error);
                }
            }
        }
    }

    fn waits_for_keys(&self, kind: &ErrorKind) -> bool {
        kind.rejects_keys() && !self.key_grace.is_zero()
    }

    /// Whether the object is there. [`ErrorKind::PreconditionFailed`] if it is not `version`.
    async fn is_there(&self, key: &str, version: &ETag) -> Result<bool, StoreError> {
        match self.head(key).await {
            Ok(meta) if meta.etag == *version => Ok(true),
            Ok(_) => Err(self.source_error(ErrorKind::PreconditionFailed)),
            Err(error) if *error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One attempt.
    async fn try_delete(&self, key: &str, condition: Option<&ETag>) -> Result<(), StoreError> {
        let build = |origin: &Origin| {
            let request = Request::object(origin, Method::DELETE, key, &[]);
            match condition {
                Some(version) => request.header(IF_MATCH, &version.to_wire()),
                None => Ok(request),
            }
        };
        self.ask_once(build).await.map(|_| ())
    }
}
