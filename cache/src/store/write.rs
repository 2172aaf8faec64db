//! Writing an object whole.

use http::Method;

use super::proof::Proof;
use super::{ObjectStore, Route};
use crate::answer::etag;
use crate::error::{ErrorKind, StoreError};
use crate::object::{ETag, Payload, PutCondition, WriteToken};
use crate::origin::Origin;
use crate::request::Request;

impl ObjectStore {
    /// Writes an object whole and gives its new version. Stores take up to 5 GiB this way.
    ///
    /// Under a condition the object carries a random token (metadata `dlf-upload`). A condition
    /// that fails because of an attempt whose answer was lost is told by it from one that fails
    /// because of somebody else, who may have written the same bytes.
    pub async fn put(
        &self,
        key: &str,
        body: impl Into<Payload>,
        condition: PutCondition,
    ) -> Result<ETag, StoreError> {
        let body = body.into();
        let token = (condition != PutCondition::None).then(WriteToken::random);
        let build = |origin: &Origin| {
            let request = Request::object(origin, Method::PUT, key, &[])
                .payload(body.clone())
                .condition(&condition)?;
            match &token {
                Some(token) => request.token(token),
                None => Ok(request),
            }
        };
        let (outcome, failures) = self.ask_counting(Route::Source, build).await;
        match outcome {
            Err(error) if failures > 0 && *error.kind() == ErrorKind::PreconditionFailed => {
                let proof = Proof {
                    token: token.as_ref(),
                    etag: None,
                };
                self.proven(key, &proof).await.ok_or(error)
            }
            outcome => {
                let answer = outcome?;
                etag(&answer.headers).map_err(|kind| StoreError::new(kind, &answer.client.place))
            }
        }
    }
}
