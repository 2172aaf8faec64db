//! What a bucket keeps of objects that were replaced or deleted: emptying it needs them gone.

use http::Method;

use super::{ObjectStore, Route};
use crate::error::{ErrorKind, StoreError};
use crate::object::{VersionPage, VersionRequest};
use crate::origin::Origin;
use crate::request::Request;
use crate::xml;

impl ObjectStore {
    /// One page of versions. Where the bucket keeps none, every object is its only version.
    ///
    /// A store that does not know the request says so in one of several ways:
    /// [`ErrorKind::Unsupported`], or a listing of another kind ([`ErrorKind::Protocol`]).
    pub async fn list_versions(&self, request: &VersionRequest) -> Result<VersionPage, StoreError> {
        let max_keys = request.max_keys.map(|max| max.to_string());
        let build = |origin: &Origin| {
            let prefix = format!("{}{}", origin.prefix, request.prefix);
            let mut query = vec![
                ("versions", ""),
                ("encoding-type", "url"),
                ("prefix", &prefix),
            ];
            if let Some(after) = &request.after {
                query.push(("key-marker", &after.key));
                query.extend(after.id.as_deref().map(|id| ("version-id-marker", id)));
            }
            query.extend(max_keys.as_deref().map(|max| ("max-keys", max)));
            Ok(Request::bucket(origin, Method::GET, &query).page_of(request.max_keys))
        };
        let answer = self.ask(Route::Source, build).await?;
        let page = xml::version_page(&answer.body, &answer.client.origin.prefix).and_then(|page| {
            // Who follows such a listing never comes to its end.
            let stuck = page.next.is_some() && page.next == request.after;
            if stuck {
                Err(ErrorKind::Protocol("its listing does not move on"))
            } else {
                Ok(page)
            }
        });
        page.map_err(|kind| StoreError::new(kind, &answer.client.place))
    }
}
