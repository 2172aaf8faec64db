//! What the server makes of conditions, for tests that rest on them.

use bytes::Bytes;
use dlf_cache::{ErrorKind, PutCondition};
use futures::future::join_all;

use super::Bucket;

/// The object that is tried with.
const PROBE: &str = "probe";

/// Writers at once, and how often each of them replaces the object.
const WRITERS: usize = 8;
const SWAPS: usize = 25;

/// More tries than all others can spoil.
const TRIES_MAX: usize = WRITERS * SWAPS * 10;

impl Bucket {
    /// Whether the server refuses a PUT that names a version which is no longer there (`If-Match`).
    pub fn honours_if_match(&self) -> bool {
        let honours = self.runtime.block_on(async {
            let put = |body, condition| {
                let body = Bytes::from_static(body);
                self.store.put(PROBE, body, condition)
            };
            let old = put(b"old".as_slice(), PutCondition::None).await.unwrap();
            put(b"newer", PutCondition::None).await.unwrap();
            let refused = put(b"lost", PutCondition::IfMatch(old)).await;
            refused.is_err_and(|error| *error.kind() == ErrorKind::PreconditionFailed)
        });
        self.delete(PROBE);
        honours
    }

    /// Whether it does so to writers at once, too: a server that looks and then writes loses what
    /// came in between, whatever its clients do.
    pub fn honours_if_match_to_many(&self) -> bool {
        if !self.honours_if_match() {
            return false;
        }
        self.put(PROBE, "");
        let writers = (0..WRITERS).map(|_| self.lengthen_often());
        let done = self.runtime.block_on(join_all(writers));
        let length = self.size(PROBE);
        self.delete(PROBE);
        done.iter().all(|done| *done) && length == (WRITERS * SWAPS) as u64
    }

    /// Makes the object longer by a byte, again and again, on condition that nobody else did.
    async fn lengthen_often(&self) -> bool {
        let mut done = 0;
        for _ in 0..TRIES_MAX {
            let now = self.store.head(PROBE).await.unwrap();
            let longer = Bytes::from(vec![b'x'; usize::try_from(now.size).unwrap() + 1]);
            let condition = PutCondition::IfMatch(now.etag);
            match self.store.put(PROBE, longer, condition).await {
                Ok(_) => done += 1,
                Err(error) => assert_eq!(*error.kind(), ErrorKind::PreconditionFailed),
            }
            if done == SWAPS {
                return true;
            }
        }
        false
    }
}
