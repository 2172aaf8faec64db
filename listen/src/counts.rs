use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The connections of each address. An address has an entry while it has a connection, so there are
/// never more entries than connections.
#[derive(Debug)]
pub(crate) struct ConnectionCounts {
    port: u16,
    each: usize,
    addresses: Mutex<HashMap<IpAddr, Address>>,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Address {
    connections: usize,
    /// Whether the log has it: once until it has no connection.
    logged: bool,
}

/// The right of one address to one connection, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct AddressPermit {
    address: IpAddr,
    counts: Arc<ConnectionCounts>,
}

impl ConnectionCounts {
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

    /// A permit for one more, unless the address has all it may.
    pub(crate) fn take(this: &Arc<Self>, address: IpAddr) -> Option<AddressPermit> {
        let mut addresses = this.lock();
        let counted = addresses.entry(address).or_default();
        if counted.connections < this.each {
            counted.connections += 1;
            return Some(AddressPermit {
                address,
                counts: Arc::clone(this),
            });
        }
        if !std::mem::replace(&mut counted.logged, true) {
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

impl Drop for AddressPermit {
    fn drop(&mut self) {
        if let Entry::Occupied(mut counted) = self.counts.lock().entry(self.address) {
            counted.get_mut().connections -= 1;
            if counted.get().connections == 0 {
                counted.remove();
            }
        }
    }
}

#[cfg(test)]
impl ConnectionCounts {
    /// How many addresses have a connection.
    pub(crate) fn addresses(&self) -> usize {
        self.lock().len()
    }
}
