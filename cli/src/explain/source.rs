use dlf_core::source::{KeySource, ObjectStoreSource, Source};

use super::facts::Facts;
use crate::datasets::View;

/// The source in words, a line each: where it is, and how it is used. No keys.
pub(super) fn described(facts: &Facts) -> Vec<String> {
    let view = &facts.view;
    let mut lines = vec![format!("{} {}", view.kind(), view.address())];
    if let Some(why) = &view.dataset.spec.unreadable {
        lines.push(format!("the spec cannot be read: {why}"));
    }
    let read = view.source();
    match read.or_else(|| facts.internal.as_ref().and_then(View::source)) {
        Some(Source::ObjectStore(bucket)) => lines.extend(of_bucket(&bucket)),
        Some(source) if source.readonly() => lines.push("read-only".to_owned()),
        _ => {}
    }
    lines
}

fn of_bucket(bucket: &ObjectStoreSource) -> Vec<String> {
    let mut lines = vec![match &bucket.keys {
        KeySource::Anonymous => "no keys: requests are not signed".to_owned(),
        KeySource::Secret { name } => format!("keys in Secret {name}"),
        KeySource::Inline { .. } => {
            "keys in the Dataset itself, seen by all who may read it; spec.local.secret-name names a Secret instead".to_owned()
        }
    }];
    if let Some(secret) = &bucket.ca_secret {
        lines.push(format!("private CA in Secret {secret}"));
    }
    if bucket.readonly {
        lines.push("read-only".to_owned());
    }
    if bucket.provision {
        let end = if bucket.remove_on_delete {
            "emptied and deleted with this Dataset if DLF made it"
        } else {
            "kept when this Dataset is deleted"
        };
        lines.push(format!(
            "the bucket is made if it does not exist, and {end}"
        ));
    }
    lines
}
