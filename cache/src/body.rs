//! The bytes of an object, as they come in.

use bytes::Bytes;

use crate::error::StoreError;
use crate::object::ETag;

/// A stretch of one version of an object, streamed without copies.
///
/// A stream that breaks is taken up again behind its last byte, with `If-Match`, so bytes of two
/// versions never mix. Dropping it unread closes its connection; read it to the end to keep that.
#[derive(Debug)]
pub struct ObjectBody {
    _private: (),
}

impl ObjectBody {
    /// The version these bytes belong to.
    #[must_use]
    pub fn etag(&self) -> &ETag {
        unimplemented!()
    }

    /// Size of the whole object in bytes, whatever the range.
    #[must_use]
    pub fn object_size(&self) -> u64 {
        unimplemented!()
    }

    /// Bytes still to come: the range asked for, cut at the object's end, less what was handed out.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        unimplemented!()
    }

    /// The next bytes as the connection delivered them; `None` after the last.
    ///
    /// Never empty. An error is final. Cancel-safe: dropping the future loses no bytes.
    pub async fn next_chunk(&mut self) -> Option<Result<Bytes, StoreError>> {
        unimplemented!()
    }

    /// All that remains, joined. The caller bounds it by the range it asked for.
    pub async fn collect(self) -> Result<Bytes, StoreError> {
        unimplemented!()
    }
}
