//! JSON Patch (RFC 6902), as far as decorating a pod needs it: nothing is ever taken away.

use serde::Serialize;
use serde_json::Value;

/// Additions, in the order in which they are made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Patch(Vec<Add>);

/// One addition; where the path is there already, its value is replaced.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename = "add")]
struct Add {
    path: String,
    value: Value,
}

impl Patch {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets what stands at a path.
    pub(super) fn set(&mut self, path: String, value: Value) {
        self.0.push(Add { path, value });
    }

    /// Adds to the end of a list, which is made when it is not there.
    pub(super) fn append(&mut self, list: &str, is_there: bool, items: Vec<Value>) {
        if is_there {
            self.0.extend(items.into_iter().map(|value| Add {
                path: format!("{list}/-"),
                value,
            }));
        } else if !items.is_empty() {
            self.set(list.to_owned(), Value::Array(items));
        }
    }
}

/// A key as a part of a path.
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
