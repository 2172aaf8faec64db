//! Reading: one object's head, its bytes, listings.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, IF_MATCH, LAST_MODIFIED, RANGE};
use http::{Method, StatusCode};

use super::table::Block;
use super::whole::Failed;
use super::{ObjectStore, Reply, Route};
use crate::answer::{etag, parse_http_date};
use crate::body::{ObjectBody, Opened};
use crate::error::{ErrorKind, StoreError};
use crate::object::{ETag, ListPage, ListRequest, ObjectMeta};
use crate::origin::Origin;
use crate::request::Request;
use crate::xml;

impl ObjectStore {
    /// Size and version of one object.
    pub async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        Ok(self.head_and_headers(key, None).await?.0)
    }

    /// As [`Self::head`], with all that the store tells of the object. With `if_match` the answer is
    /// of that version or [`ErrorKind::PreconditionFailed`].
    pub(super) async fn head_and_headers(
        &self,
        key: &str,
        if_match: Option<&ETag>,
    ) -> Result<(ObjectMeta, HeaderMap), StoreError> {
        let build = |origin: &Origin| {
            let request = Request::object(origin, Method::HEAD, key, &[]);
            match if_match {
                Some(version) => request.header(IF_MATCH, &version.to_wire()),
                None => Ok(request),
            }
        };
        let reply = self.send(Route::Source, build).await?;
        let headers = reply.response.headers();
        let meta = || {
            Ok(ObjectMeta {
                key: key.to_owned(),
                size: content_length(headers)?,
                etag: etag(headers)?,
                last_modified: text(headers, &LAST_MODIFIED)
                    .and_then(parse_http_date)
                    .map(SystemTime::from),
            })
        };
        let failed = |kind| StoreError::new(kind, &reply.client.place);
        let meta = meta().map_err(failed)?;
        // Not every server heeds the condition.
        if if_match.is_some_and(|wanted| *wanted != meta.etag) {
            return Err(failed(ErrorKind::PreconditionFailed));
        }
        Ok((meta, reply.response.into_parts().0.headers))
    }

    /// Bytes of one object: `range` may reach beyond its end and is cut there; `u64::MAX` as its
    /// end means all that follows. It must not be empty and not begin behind the object's end
    /// ([`ErrorKind::RangeNotSatisfiable`]); so an empty object has no range to get.
    ///
    /// With `if_match` the answer is of that version or [`ErrorKind::PreconditionFailed`], and may
    /// come from a cache. Without, the source is asked, which alone knows the version of now.
    pub async fn get_range(
        &self,
        key: &str,
        range: Range<u64>,
        if_match: Option<&ETag>,
    ) -> Result<ObjectBody, StoreError> {
        let end = range.end;
        let opened = match if_match {
            Some(version) => self.open_unit(key, range, version).await?,
            None => self.open(Route::Source, key, range, None).await?,
        };
        Ok(ObjectBody::new(self.clone(), key, end, opened))
    }

    /// The stream of as much of a range as one server of a cache has.
    pub(crate) async fn open_unit(
        &self,
        key: &str,
        mut range: Range<u64>,
        version: &ETag,
    ) -> Result<Opened, StoreError> {
        let block = Block {
            key,
            offset: range.start,
        };
        range.end = range.end.min(self.current().table.unit_end(block));
        self.open(Route::Blocks(block), key, range, Some(version))
            .await
    }

    /// The stream of [`Self::get_range`], which breaks when its connection does.
    pub(crate) async fn open(
        &self,
        route: Route<'_>,
        key: &str,
        range: Range<u64>,
        if_match: Option<&ETag>,
    ) -> Result<Opened, StoreError> {
        if range.is_empty() {
            return Err(self.source_error(ErrorKind::RangeNotSatisfiable));
        }
        let build = |origin: &Origin| {
            let request = Request::object(origin, Method::GET, key, &[]);
            let request = request.header(RANGE, &range_header(&range))?;
            match if_match {
                Some(version) => request.header(IF_MATCH, &version.to_wire()),
                None => Ok(request),
            }
        };
        let check =
            |reply, _| std::future::ready(opened(reply, &range, if_match).map_err(Failed::from));
        let (opened, effort) = self.repeat(route, build, check).await;
        let for_keys = effort.for_keys;
        opened.map(|opened| Opened { for_keys, ..opened })
    }

    /// One page of keys.
    pub async fn list(&self, request: &ListRequest) -> Result<ListPage, StoreError> {
        let build = |origin: &Origin| {
            let absolute = |key: &str| format!("{}{key}", origin.prefix);
            let prefix = absolute(&request.prefix);
            let start_after = request.start_after.as_deref().map(absolute);
            let max_keys = request.max_keys.map(|max| max.to_string());
            let mut query = vec![
                ("list-type", "2"),
                ("encoding-type", "url"),
                ("prefix", &prefix),
            ];
            query.extend(request.delimiter.then_some(("delimiter", "/")));
            query.extend(start_after.as_deref().map(|key| ("start-after", key)));
            query.extend(
                request
                    .continuation
                    .as_deref()
                    .map(|at| ("continuation-token", at)),
            );
            query.extend(max_keys.as_deref().map(|max| ("max-keys", max)));
            Ok(Request::bucket(origin, Method::GET, &query).page_of(request.max_keys))
        };
        let answer = self.ask(Route::Source, build).await?;
        let page = xml::list_page(&answer.body, &answer.client.origin.prefix).and_then(|page| {
            // Who follows such a listing never comes to its end.
            let stuck = page.next.is_some() && page.next == request.continuation;
            if stuck {
                Err(ErrorKind::Protocol("its listing does not move on"))
            } else {
                Ok(page)
            }
        });
        page.map_err(|kind| StoreError::new(kind, &answer.client.place))
    }
}

/// The stream of an answer, if it is of the version and the range that were asked for.
fn opened(reply: Reply, range: &Range<u64>, if_match: Option<&ETag>) -> Result<Opened, ErrorKind> {
    let headers = reply.response.headers();
    let version = etag(headers)?;
    // Not every server heeds the condition.
    if if_match.is_some_and(|wanted| *wanted != version) {
        return Err(ErrorKind::PreconditionFailed);
    }
    let status = reply.response.status();
    let (answered, object_size) = answered_range(status, headers, range)?;
    // Of a version that ends within the range a cache may have a part only: the source knows.
    if reply.of_cache && answered.end < range.end && range.end != u64::MAX {
        return Err(ErrorKind::RangeNotSatisfiable);
    }
    Ok(Opened {
        etag: version,
        object_size,
        range: answered,
        for_keys: Duration::ZERO,
        cache: reply.of_cache.then_some(reply.client),
        stream: reply.response.into_body(),
    })
}

/// `bytes=FIRST-LAST`, or `bytes=FIRST-` where no last byte is meant: not every server takes a
/// number as large as that.
fn range_header(range: &Range<u64>) -> String {
    match range.end {
        u64::MAX => format!("bytes={}-", range.start),
        end => format!("bytes={}-{}", range.start, end - 1),
    }
}

/// The range that an answer holds, and the object's size.
fn answered_range(
    status: StatusCode,
    headers: &HeaderMap,
    asked: &Range<u64>,
) -> Result<(Range<u64>, u64), ErrorKind> {
    if status == StatusCode::OK {
        // The whole object: of use if its beginning was wanted.
        let size = content_length(headers)?;
        return match asked.start {
            0 => Ok((0..asked.end.min(size), size)),
            _ => Err(ErrorKind::Protocol(
                "it sends whole objects where parts are asked for",
            )),
        };
    }
    let (answered, size) = text(headers, &CONTENT_RANGE)
        .and_then(content_range)
        .ok_or(ErrorKind::Protocol("its answer does not tell the range"))?;
    if answered.start != asked.start || answered.end != asked.end.min(size) {
        return Err(ErrorKind::Protocol("it sends another range than asked for"));
    }
    Ok((answered, size))
}

/// Reads `bytes FIRST-LAST/SIZE`.
fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse::<u64>().ok()?);
    let size = size.parse().ok()?;
    (first <= last && last < size).then_some((first..last + 1, size))
}

fn content_length(headers: &HeaderMap) -> Result<u64, ErrorKind> {
    text(headers, &CONTENT_LENGTH)
        .and_then(|length| length.parse().ok())
        .ok_or(ErrorKind::Protocol("its answer does not tell the size"))
}

fn text<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(
        status: u16,
        header: (&'static str, &str),
        asked: Range<u64>,
    ) -> Option<(Range<u64>, u64)> {
        let mut headers = HeaderMap::new();
        headers.insert(header.0, header.1.parse().unwrap());
        answered_range(StatusCode::from_u16(status).unwrap(), &headers, &asked).ok()
    }

    #[test]
    fn ranges_are_cut_at_the_objects_end_and_nowhere_else() {
        let range = |text| ("content-range", text);
        assert_eq!(
            answered(206, range("bytes 0-9/100"), 0..10),
            Some((0..10, 100))
        );
        assert_eq!(
            answered(206, range("bytes 90-99/100"), 90..200),
            Some((90..100, 100))
        );
        assert_eq!(
            answered(206, range("bytes 5-99/100"), 5..u64::MAX),
            Some((5..100, 100))
        );
        for wrong in [
            "bytes 0-8/100",
            "bytes 1-9/100",
            "bytes 0-9/*",
            "bytes 9-0/100",
            "bytes 0-9/5",
            "0-9/100",
            "",
        ] {
            assert_eq!(answered(206, range(wrong), 0..10), None, "{wrong}");
        }
    }

    #[test]
    fn a_whole_object_answers_for_its_beginning() {
        assert_eq!(
            answered(200, ("content-length", "7"), 0..10),
            Some((0..7, 7))
        );
        assert_eq!(
            answered(200, ("content-length", "70"), 0..10),
            Some((0..10, 70))
        );
        assert_eq!(answered(200, ("content-length", "70"), 1..10), None);
        assert_eq!(answered(200, ("content-type", "x"), 0..10), None);
    }

    #[test]
    fn the_largest_range_names_no_last_byte() {
        assert_eq!(range_header(&(3..u64::MAX)), "bytes=3-");
        assert_eq!(range_header(&(3..4)), "bytes=3-3");
    }
}
