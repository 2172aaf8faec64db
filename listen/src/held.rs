use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Places that addresses hold. There is an entry for who holds one, so never more than connections.
#[derive(Debug)]
pub(crate) struct Held {
    port: u16,
    each: usize,
    addresses: Mutex<HashMap<IpAddr, Address>>,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Address {
    places: usize,
    /// Whether the log has it: once until it holds none.
    told: bool,
}

/// A place of one address, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    address: IpAddr,
    held: Arc<Held>,
}

impl Held {
    pub(crate) fn new(port: u16, each: usize) -> Self {
        Self {
            port,
            each,
            addresses: Mutex::default(),
            refused: AtomicU64::new(0),
        }
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// A place for one more, unless the address has all it may.
    pub(crate) fn take(this: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut addresses = this.lock();
        let held = addresses.entry(address).or_default();
        if held.places < this.each {
            held.places += 1;
            return Some(Place {
                address,
                held: Arc::clone(this),
            });
        }
        if !std::mem::replace(&mut held.told, true) {
            let Self { port, each, .. } = **this;
            tracing::warn!(%address, port, "{each} connections of one address: more are closed until it closes some");
        }
        this.refused.fetch_add(1, Ordering::Relaxed);
        None
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Address>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Entry::Occupied(mut held) = self.held.lock().entry(self.address) {
            held.get_mut().places -= 1;
            if held.get().places == 0 {
                held.remove();
            }
        }
    }
}

#[cfg(test)]
impl Held {
    /// How many addresses hold something.
    pub(crate) fn addresses(&self) -> usize {
        self.lock().len()
    }
}
