use std::{sync::Arc, time::Duration};

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::problem::Problem;

/// An object is at most 1.5 MiB in etcd and 3 MiB in a request, and a review has it twice.
const BODY_BYTES_MAX: usize = 8 << 20;
/// All bodies that are read at once, so that no crowd of requests outgrows the memory limit.
const BODIES_BYTES_MAX: usize = 32 << 20;
/// The API server sends a body at once, and waits at most five seconds for the answer.
const BODY_DEADLINE: Duration = Duration::from_secs(3);

/// Memory for bodies, lent to one request after the other.
pub(super) struct Budget {
    bytes: Arc<Semaphore>,
}

/// A body, and the memory it was lent.
pub(super) struct Held {
    pub(super) bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes: Arc::new(Semaphore::new(BODIES_BYTES_MAX)),
        }
    }
}

impl Budget {
    /// Reads a body whose length was announced.
    pub(super) async fn read(&self, body: Body) -> Result<Held, Problem> {
        let length = body
            .size_hint()
            .exact()
            .ok_or(Problem::Body("has no announced length"))?;
        let length = u32::try_from(length)
            .ok()
            .filter(|length| *length as usize <= BODY_BYTES_MAX);
        let length = length.ok_or(Problem::Body("is larger than 8 MiB"))?;
        timeout(BODY_DEADLINE, self.lend(body, length))
            .await
            .unwrap_or(Err(Problem::Body("did not come in time")))
    }

    async fn lend(&self, body: Body, length: u32) -> Result<Held, Problem> {
        let permit = Arc::clone(&self.bytes).acquire_many_owned(length).await;
        let permit = permit.map_err(|_| Problem::Body("came while the operator was stopping"))?;
        let bytes = to_bytes(body, BODY_BYTES_MAX)
            .await
            .map_err(|_| Problem::Body("broke off"))?;
        Ok(Held {
            bytes,
            _permit: permit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_bounded_and_gives_its_memory_back() {
        let budget = Budget::default();
        let held = budget.read(Body::from("{}")).await.unwrap();
        assert_eq!(&held.bytes[..], b"{}");
        assert_eq!(budget.bytes.available_permits(), BODIES_BYTES_MAX - 2);
        drop(held);
        assert_eq!(budget.bytes.available_permits(), BODIES_BYTES_MAX);
        let large = vec![0; BODY_BYTES_MAX + 1];
        assert!(matches!(
            budget.read(Body::from(large)).await,
            Err(Problem::Body(_))
        ));
    }
}
