use serde::Serialize;

use super::facts::Facts;
use crate::{cluster::Looked, datasets::View};

/// Another Dataset that reads the same bucket.
#[derive(Debug, Serialize)]
pub(super) struct Sharer {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) group: &'static str,
    /// Which part of the bucket; `""` is all of it.
    pub(super) prefix: String,
}

/// Who else reads the bucket.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SameBucket {
    pub(super) datasets: Vec<Sharer>,
    /// Whether all namespaces were looked at, not only its own.
    pub(super) all_namespaces: bool,
    /// Why nobody could be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unknown: Option<String>,
}

/// Others of the same bucket; none where the source is no bucket.
pub(super) fn same(facts: &Facts) -> Option<SameBucket> {
    let (mine, _) = place(&facts.view)?;
    let of = |other: &View| {
        let (bucket, prefix) = place(other)?;
        let another = (other.key() != facts.view.key()) && bucket == mine;
        another.then(|| Sharer {
            namespace: other.namespace().to_owned(),
            name: other.name().to_owned(),
            group: other.group.name(),
            prefix,
        })
    };
    let seen = facts.others.seen();
    Some(SameBucket {
        datasets: seen.into_iter().flatten().filter_map(of).collect(),
        all_namespaces: facts.everywhere,
        unknown: match &facts.others {
            Looked::Seen(_) => None,
            other => Some(other.reason().to_owned()),
        },
    })
}

/// Endpoint and bucket, and the part of it. An endpoint's host is the same in any case.
fn place(view: &View) -> Option<((String, String), String)> {
    let bucket = view.bucket()?;
    let endpoint = bucket.endpoint.trim_end_matches('/').to_ascii_lowercase();
    let location = bucket.location;
    Some(((endpoint, location.bucket), location.prefix))
}
