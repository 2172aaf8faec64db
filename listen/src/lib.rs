//! Listeners that bound the connections of one address.
//!
//! Nobody can tell a tenant's pod from an API server before it has said something, and each
//! connection costs memory. So there are only so many, and one address has only a part of them:
//! a pod alone keeps nobody out.

mod connection;
mod counts;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::Semaphore, time::sleep};

pub use connection::Connection;
use counts::ConnectionCounts;

/// Accepting fails when descriptors run out; trying again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections there may be at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of all addresses together: who comes then waits in the kernel's queue.
    pub all: usize,
    /// Of one address: one more is closed at once.
    pub of_address: usize,
}

/// Of a port that shows health and metrics: probes and scrapes come one at a time, and go.
pub const OF_HEALTH: Limits = Limits {
    all: 1024,
    of_address: 64,
};

/// A TCP port.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    permits: Arc<Semaphore>,
    counts: Arc<ConnectionCounts>,
}

impl Listener {
    /// Listens on an address.
    ///
    /// # Errors
    /// When it is taken, or no address of this machine.
    pub async fn bind(address: SocketAddr, limits: Limits) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        let port = tcp.local_addr()?.port();
        Ok(Self {
            tcp,
            permits: Arc::new(Semaphore::new(limits.all)),
            counts: Arc::new(ConnectionCounts::new(port, limits.of_address)),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// How many connections were closed because their address had as many as one may; goes on
    /// counting.
    #[must_use]
    pub fn refused(&self) -> Refused {
        Refused(Arc::clone(&self.counts))
    }

    /// The next connection that has its permits, and who it is from. Nothing is lost when the future
    /// is dropped.
    pub async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed, so there is always a permit to come.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        loop {
            match self.tcp.accept().await {
                Ok((stream, peer)) => {
                    if let Some(address_permit) =
                        ConnectionCounts::take(&self.counts, peer.ip().to_canonical())
                    {
                        return (Connection::new(stream, address_permit, permit), peer);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// A count that goes on.
#[derive(Clone, Debug)]
pub struct Refused(Arc<ConnectionCounts>);

impl Refused {
    /// Connections closed so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.refused()
    }
}

#[cfg(feature = "axum")]
impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        Self::accept(self).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}

#[cfg(test)]
mod tests;
