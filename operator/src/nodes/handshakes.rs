//! Streams of whom nobody knows yet who they are.
//!
//! To find out costs the API server a review, and a refusal costs the log a line. So few of one
//! address are looked at at once, and whoever is not let in keeps its place for a while.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Streams of one address that are looked at at once. A node driver has one; behind a gateway that
/// hides them, 5,000 have their turn within seconds, at some 5 ms each.
const OF_ADDRESS: usize = 4;
/// A place is kept so long by whoever was not let in, or left before the answer: no address costs
/// more than four reviews and four lines a second.
const KEPT: Duration = Duration::from_secs(1);

/// Places of addresses whose streams are looked at.
#[derive(Debug, Default)]
pub struct Handshakes {
    /// There is an entry for who has a stream here, so never more than streams.
    addresses: Mutex<HashMap<IpAddr, Address>>,
    refused: AtomicU64,
}

#[derive(Debug)]
struct Address {
    places: Arc<Semaphore>,
    /// Those that have a place and those that wait for one.
    streams: usize,
}

/// The turn of one stream.
#[derive(Debug)]
pub(super) struct Turn {
    held: Option<(OwnedSemaphorePermit, Stream)>,
}

/// One stream of an address, counted until it is dropped.
#[derive(Debug)]
struct Stream {
    address: IpAddr,
    handshakes: Arc<Handshakes>,
}

impl Handshakes {
    /// Streams that were not let in since the program began.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Waits until one more of this address may be looked at.
    pub(super) async fn turn(this: &Arc<Self>, address: IpAddr) -> Turn {
        let (stream, places) = Self::enter(this, address);
        // The semaphore is never closed, so there is always a permit to come.
        let permit = places.acquire_owned().await.ok();
        Turn {
            held: permit.map(|permit| (permit, stream)),
        }
    }

    fn enter(this: &Arc<Self>, address: IpAddr) -> (Stream, Arc<Semaphore>) {
        let mut addresses = this.lock();
        let found = addresses.entry(address).or_insert_with(|| Address {
            places: Arc::new(Semaphore::new(OF_ADDRESS)),
            streams: 0,
        });
        found.streams += 1;
        let stream = Stream {
            address,
            handshakes: Arc::clone(this),
        };
        (stream, Arc::clone(&found.places))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Address>> {
        let addresses = self.addresses.lock();
        addresses.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// It is known who this is: the next has its place at once.
    pub(super) fn known(mut self) {
        self.held = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else {
            return;
        };
        held.1.handshakes.refused.fetch_add(1, Ordering::Relaxed);
        // Without a runtime nothing is served any more.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                sleep(KEPT).await;
                drop(held);
            });
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Entry::Occupied(mut found) = self.handshakes.lock().entry(self.address) {
            found.get_mut().streams -= 1;
            if found.get().streams == 0 {
                found.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::time::{Instant, timeout};

    use super::*;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    #[tokio::test(start_paused = true)]
    async fn whoever_is_not_let_in_keeps_its_place_and_keeps_nobody_else_out() {
        let (handshakes, began) = (Arc::<Handshakes>::default(), Instant::now());
        for _ in 0..3 * OF_ADDRESS {
            drop(Handshakes::turn(&handshakes, ONE).await);
        }
        assert_eq!(began.elapsed().as_secs(), 2);
        assert_eq!(handshakes.refused(), 3 * OF_ADDRESS as u64);
        Handshakes::turn(&handshakes, OTHER).await.known();
        assert_eq!(began.elapsed().as_secs(), 2);
        sleep(2 * KEPT).await;
        assert!(handshakes.lock().is_empty(), "{handshakes:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_are_known_wait_for_nothing() {
        let (handshakes, began) = (Arc::<Handshakes>::default(), Instant::now());
        for _ in 0..5_000 {
            Handshakes::turn(&handshakes, ONE).await.known();
        }
        assert_eq!((began.elapsed(), handshakes.refused()), (Duration::ZERO, 0));
        assert!(handshakes.lock().is_empty(), "{handshakes:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_before_its_turn_leaves_nothing() {
        let handshakes = Arc::<Handshakes>::default();
        let mut turns = Vec::new();
        for _ in 0..OF_ADDRESS {
            turns.push(Handshakes::turn(&handshakes, ONE).await);
        }
        let impatient = timeout(Duration::from_millis(1), Handshakes::turn(&handshakes, ONE));
        assert!(impatient.await.is_err());
        turns.into_iter().for_each(Turn::known);
        assert!(handshakes.lock().is_empty(), "{handshakes:?}");
        assert_eq!(handshakes.refused(), 0);
    }
}
