//! Writing an object whole.

use http::Method;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use md5::{Digest, Md5};

use super::{ObjectStore, Route};
use crate::answer::etag;
use crate::error::{ErrorKind, StoreError};
use crate::object::{ETag, Payload, PutCondition};
use crate::origin::Origin;
use crate::request::Request;

impl ObjectStore {
    /// Writes an object whole and gives its new version. Stores take up to 5 GiB this way.
    pub async fn put(
        &self,
        key: &str,
        body: impl Into<Payload>,
        condition: PutCondition,
    ) -> Result<ETag, StoreError> {
        let body = body.into();
        let build = |origin: &Origin| {
            let request = Request::object(origin, Method::PUT, key, &[]).payload(body.clone());
            match &condition {
                PutCondition::None => Ok(request),
                PutCondition::IfNoneMatch => request.header(IF_NONE_MATCH, "*"),
                PutCondition::IfMatch(version) => request.header(IF_MATCH, &version.to_wire()),
            }
        };
        let (outcome, failures) = self.ask_counting(Route::Write, build).await;
        match outcome {
            Err(error) if failures > 0 && *error.kind() == ErrorKind::PreconditionFailed => {
                self.written_before(key, &body).await.ok_or(error)
            }
            outcome => {
                let answer = outcome?;
                etag(&answer.headers).map_err(|kind| StoreError::new(kind, &answer.site.place))
            }
        }
    }

    /// Whether the condition fails because an attempt succeeded whose answer was lost: then the
    /// object has our size, and the version that stores give to whole objects.
    async fn written_before(&self, key: &str, body: &Payload) -> Option<ETag> {
        let meta = self.head(key).await.ok()?;
        let mut hash = Md5::new();
        for piece in &body.pieces {
            hash.update(piece);
        }
        let ours = meta.size == body.len() && meta.etag.as_str() == hex::encode(hash.finalize());
        ours.then_some(meta.etag)
    }
}
