//! Listings that begin with an empty page, which S3 allows and gateways in front of it do.

use std::collections::HashMap;
use std::sync::Mutex;

use super::message::Head;

/// Answers that were kept back, by the continuation token at which they are given.
#[derive(Debug, Default)]
pub(super) struct EmptyPages {
    kept: Mutex<HashMap<String, Vec<u8>>>,
}

impl EmptyPages {
    /// Whether this asks for the first page of a listing.
    pub(super) fn is_first(request: &Head) -> bool {
        request.method() == "GET"
            && request.parameter("list-type").is_some()
            && request.parameter("continuation-token").is_none()
    }

    /// The page that this asks for, if it was kept back.
    pub(super) fn kept(&self, request: &Head) -> Option<Vec<u8>> {
        let token = request.parameter("continuation-token")?;
        self.kept.lock().unwrap().get(token).cloned()
    }

    /// Keeps a page back and gives an empty one that refers to it.
    pub(super) fn empty_before(&self, page: Vec<u8>) -> Vec<u8> {
        let mut kept = self.kept.lock().unwrap();
        let token = format!("kept{}", kept.len());
        let mut empty = String::from_utf8_lossy(&page).into_owned();
        for element in [
            "Contents",
            "CommonPrefixes",
            "KeyCount",
            "IsTruncated",
            "NextContinuationToken",
        ] {
            empty = without(&empty, element);
        }
        let more = format!(
            "<KeyCount>0</KeyCount><IsTruncated>true</IsTruncated>\
             <NextContinuationToken>{token}</NextContinuationToken></ListBucketResult>"
        );
        empty = empty.replace("</ListBucketResult>", &more);
        kept.insert(token, page);
        empty.into_bytes()
    }
}

/// The document without any element of this name.
fn without(document: &str, element: &str) -> String {
    let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
    let mut pieces = document.split(&begin);
    let mut left = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        left += piece.split_once(&end).map_or("", |(_, rest)| rest);
    }
    left
}
