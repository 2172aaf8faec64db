//! What is known of the mounts beyond their records: whether they are served, and by which device.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Its record is written; nobody serves it yet.
    Making,
    Serving,
    /// Nobody serves it; a repair is under way.
    Dead,
    /// Nobody uses it; it is being taken away.
    Going,
}

#[derive(Debug)]
struct Live {
    status: Status,
    /// Our duplicate of `/dev/fuse`. While it is open, requests of a dead child wait.
    device: Option<OwnedFd>,
    /// A repair has made it and not yet bound it anywhere.
    reserved: bool,
}

/// By mount id.
#[derive(Debug, Default)]
pub(super) struct LiveMounts {
    by_id: Mutex<HashMap<String, Live>>,
}

impl LiveMounts {
    pub(super) fn making(&self, id: &str) {
        self.insert(id, Status::Making);
    }

    /// Found at start, or a kernel mount: there is no device to hold.
    pub(super) fn found(&self, id: &str) {
        self.insert(id, Status::Serving);
    }

    /// A child serves it, unless it has died since.
    pub(super) fn serving(&self, id: &str, device: OwnedFd) {
        if let Some(live) = self.by_id().get_mut(id)
            && live.status == Status::Making
        {
            live.status = Status::Serving;
            live.device = Some(device);
        }
    }

    /// True for the first who says so of a mount that is made or being made.
    pub(super) fn died(&self, id: &str) -> bool {
        match self.by_id().get_mut(id) {
            Some(live) if matches!(live.status, Status::Making | Status::Serving) => {
                live.status = Status::Dead;
                true
            }
            _ => false,
        }
    }

    /// True for the first who says so.
    pub(super) fn goes(&self, id: &str) -> bool {
        match self.by_id().get_mut(id) {
            Some(live) if live.status != Status::Going => {
                live.status = Status::Going;
                true
            }
            _ => false,
        }
    }

    pub(super) fn is_serving(&self, id: &str) -> bool {
        self.by_id()
            .get(id)
            .is_some_and(|live| live.status == Status::Serving)
    }

    /// Whether this driver has made it.
    pub(super) fn has_device(&self, id: &str) -> bool {
        self.by_id()
            .get(id)
            .is_some_and(|live| live.device.is_some())
    }

    /// Ends the connection if nobody else has the device: what waits in it fails, it hangs no more.
    pub(super) fn close_device(&self, id: &str) {
        if let Some(live) = self.by_id().get_mut(id) {
            live.device = None;
        }
    }

    pub(super) fn reserve(&self, id: &str, reserved: bool) {
        if let Some(live) = self.by_id().get_mut(id) {
            live.reserved = reserved;
        }
    }

    pub(super) fn is_reserved(&self, id: &str) -> bool {
        self.by_id().get(id).is_some_and(|live| live.reserved)
    }

    pub(super) fn remove(&self, id: &str) {
        self.by_id().remove(id);
    }

    fn insert(&self, id: &str, status: Status) {
        let live = Live {
            status,
            device: None,
            reserved: false,
        };
        self.by_id().insert(id.to_owned(), live);
    }

    fn by_id(&self) -> MutexGuard<'_, HashMap<String, Live>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
