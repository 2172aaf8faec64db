//! AdmissionReview, as far as it is read and answered here. Borrowed from nothing but the parser:
//! fields nobody asks for are skipped, not built.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::patch::Patch;

/// A refusal is read by a person, and an annotation that it quotes may have 256 KiB.
pub(super) const REFUSAL_BYTES_MAX: usize = 8 * 1024;

/// A question of the API server.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<T> {
    /// Names the question; the answer repeats it.
    pub uid: String,
    /// What is done to the object.
    pub operation: Operation,
    /// Where; objects that get a generated name may not say it themselves.
    #[serde(default)]
    pub namespace: String,
    /// `status`, `ephemeralcontainers`, or empty for the object itself.
    #[serde(default)]
    pub sub_resource: String,
    /// The object as it is to be.
    pub object: Option<T>,
    /// The object as it was.
    pub old_object: Option<T>,
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// Made.
    Create,
    /// Changed.
    Update,
    /// Deleted.
    Delete,
    /// Connected to.
    Connect,
}

/// A question that cannot be read, with its name if that much could be.
#[derive(Debug, Error)]
#[error("the admission request cannot be read: {detail}")]
pub struct Unreadable {
    /// Names the question; empty if not even that could be read.
    pub uid: String,
    detail: String,
}

impl<T: DeserializeOwned> Request<T> {
    /// Reads a question.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Review<T> {
            request: Request<T>,
        }
        serde_json::from_slice::<Review<T>>(body)
            .map(|review| review.request)
            .map_err(|error| Unreadable {
                uid: uid(body),
                detail: error.to_string(),
            })
    }
}

fn uid(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Named {
        uid: String,
    }
    #[derive(Deserialize)]
    struct Review {
        request: Named,
    }
    serde_json::from_slice::<Review>(body)
        .map(|review| review.request.uid)
        .unwrap_or_default()
}

/// What is decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Why not; none admits.
    pub refusal: Option<String>,
    /// What to change.
    pub patch: Patch,
    /// What the user is told although it is admitted.
    pub warnings: Vec<String>,
}

impl Verdict {
    /// As it is.
    #[must_use]
    pub fn admit() -> Self {
        Self::default()
    }

    /// Not at all.
    pub fn refuse(message: impl Into<String>) -> Self {
        Self {
            refusal: Some(message.into()),
            ..Self::default()
        }
    }

    /// With these changes.
    #[must_use]
    pub fn change(patch: Patch) -> Self {
        Self {
            patch,
            ..Self::default()
        }
    }

    /// The answer to the question of this name.
    pub fn answer(&self, uid: &str) -> Result<Vec<u8>, serde_json::Error> {
        let patch = if self.patch.is_empty() {
            None
        } else {
            Some(serde_json::to_vec(&self.patch)?)
        };
        let refusal = self.refusal.as_deref().map(shortened);
        serde_json::to_vec(&Answer {
            api_version: "admission.k8s.io/v1",
            kind: "AdmissionReview",
            response: Response {
                uid,
                allowed: self.refusal.is_none(),
                status: refusal.as_deref().map(|message| Status { message }),
                patch_type: patch.as_ref().map(|_| "JSONPatch"),
                patch: patch.map(|patch| BASE64.encode(patch)),
                warnings: &self.warnings,
            },
        })
    }
}

/// Without its middle if it is too long: it begins with the key and ends with the way out.
fn shortened(message: &str) -> Cow<'_, str> {
    const GAP: &str = " … ";
    if message.len() <= REFUSAL_BYTES_MAX {
        return message.into();
    }
    let half = (REFUSAL_BYTES_MAX - GAP.len()) / 2;
    let head = message.floor_char_boundary(half);
    let tail = message.ceil_char_boundary(message.len() - half);
    format!("{}{GAP}{}", &message[..head], &message[tail..]).into()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Status<'a> {
    message: &'a str,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_unreadable_request_still_tells_its_name() {
        let body = json!({ "request": { "uid": "u1", "operation": "CREATE", "object": { "metadata": 3 } } });
        let error =
            Request::<crate::webhook::pod::Pod>::read(body.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.uid, "u1");
        assert_eq!(Request::<Value>::read(b"{").unwrap_err().uid, "");
    }

    #[test]
    fn an_answer_says_only_what_there_is_to_say() {
        let answer: Value = serde_json::from_slice(&Verdict::admit().answer("u").unwrap()).unwrap();
        assert_eq!(answer["response"], json!({ "uid": "u", "allowed": true }));
        let answer: Value =
            serde_json::from_slice(&Verdict::refuse("no").answer("u").unwrap()).unwrap();
        assert_eq!(
            answer["response"],
            json!({ "uid": "u", "allowed": false, "status": { "message": "no" } })
        );
    }

    #[test]
    fn a_refusal_that_quotes_a_megabyte_keeps_its_beginning_and_its_end() {
        let long = format!(
            "annotation x: found {:?}; expected less",
            "é".repeat(1 << 19)
        );
        let answer: Value =
            serde_json::from_slice(&Verdict::refuse(long).answer("u").unwrap()).unwrap();
        let message = answer["response"]["status"]["message"].as_str().unwrap();
        assert!(message.len() <= REFUSAL_BYTES_MAX, "{}", message.len());
        assert!(message.starts_with("annotation x: found") && message.ends_with("expected less"));
    }
}
