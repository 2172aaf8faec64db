//! Proof that a write took effect whose answer was lost.
//!
//! A write is sent again after a failure. When the second attempt is refused because the object is
//! not what it was, or because the upload is gone, the first attempt may have done that; or somebody
//! else did. Size is no proof: the checkpoints of a training all have the same size.

use http::HeaderMap;
use md5::{Digest, Md5};

use super::ObjectStore;
use crate::object::{ETag, ObjectMeta, Part, WriteToken};
use crate::request::TOKEN;

/// What an object must have to be the work of a write.
#[derive(Debug)]
pub(super) struct Proof<'a> {
    /// The token that the write gave its object.
    pub(super) token: Option<&'a WriteToken>,
    /// The version that stores give to exactly the bytes of the write. Equal bytes are as good as
    /// ours where the write has no condition. Under one they prove nothing: two nodes that append
    /// the same line, or make the same lock file, must not both succeed.
    pub(super) etag: Option<ETag>,
}

impl Proof<'_> {
    fn holds_for(&self, meta: &ObjectMeta, headers: &HeaderMap) -> bool {
        let carried = headers.get(TOKEN).map(http::HeaderValue::as_bytes);
        let marked = self
            .token
            .is_some_and(|token| carried == Some(token.as_str().as_bytes()));
        marked || self.etag.as_ref() == Some(&meta.etag)
    }
}

impl ObjectStore {
    /// The version of the object at `key`, if it is the work of the write that `proof` is of.
    pub(super) async fn proven(&self, key: &str, proof: &Proof<'_>) -> Option<ETag> {
        let (meta, headers) = self.head_and_headers(key, None).await.ok()?;
        proof.holds_for(&meta, &headers).then_some(meta.etag)
    }
}

/// The version of an object that is made of `parts`, in their order: the MD5 of their MD5s, and
/// their number. None where the store gives parts other versions than their MD5, as with KMS.
///
/// AWS tells it of objects without KMS (user guide, "Checking object integrity"); others follow.
pub(super) fn etag_of(parts: &[Part]) -> Option<ETag> {
    let mut hash = Md5::new();
    for part in parts {
        let mut md5 = [0; 16];
        hex::decode_to_slice(part.etag.as_str(), &mut md5).ok()?;
        hash.update(md5);
    }
    let digest = hex::encode(hash.finalize());
    Some(ETag::from_wire(&format!("{digest}-{}", parts.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: u16, etag: &str) -> Part {
        Part {
            number,
            size: 1,
            etag: ETag::from_wire(etag),
        }
    }

    #[test]
    fn the_version_of_parts_is_the_md5_of_their_md5s() {
        // `printf a | md5sum`, `printf b | md5sum`; `printf HEX | xxd -r -p | md5sum` of both.
        let parts = [
            part(1, "0cc175b9c0f1b6a831c399e269772661"),
            part(2, "92eb5ffee6ae2fec3ad71c777531578f"),
        ];
        let whole = etag_of(&parts).unwrap();
        assert_eq!(whole.as_str(), "96e024ba2074fe77e8e965ba43a704be-2");
        for other in ["", "0cc175b9", "0cc175b9c0f1b6a831c399e26977266g", "x-1"] {
            assert_eq!(etag_of(&[part(1, other)]), None, "{other}");
        }
    }

    #[test]
    fn a_token_proves_and_a_size_does_not() {
        let meta = ObjectMeta {
            key: "k".to_owned(),
            size: 7,
            etag: ETag::from_wire("abc-1"),
            last_modified: None,
        };
        let (ours, other) = (WriteToken::random(), WriteToken::random());
        let mut headers = HeaderMap::new();
        let proof = |token, etag: Option<&str>| Proof {
            token,
            etag: etag.map(ETag::from_wire),
        };
        assert!(!proof(Some(&ours), None).holds_for(&meta, &headers));
        assert!(!proof(Some(&ours), Some("abd-1")).holds_for(&meta, &headers));
        assert!(!proof(None, None).holds_for(&meta, &headers));
        assert!(proof(Some(&ours), Some("abc-1")).holds_for(&meta, &headers));
        headers.insert(TOKEN, ours.as_str().parse().unwrap());
        assert!(proof(Some(&ours), None).holds_for(&meta, &headers));
        assert!(!proof(Some(&other), None).holds_for(&meta, &headers));
        assert!(!proof(None, None).holds_for(&meta, &headers));
    }
}
