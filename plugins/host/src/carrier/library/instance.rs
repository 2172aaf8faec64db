//! An instance of a plugin, and the thread of ours on which it is called: what its functions do, they do not
//! do to a runtime.

use std::{
    collections::HashMap,
    ffi::c_void,
    io, ptr, slice,
    sync::{
        LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use dlf_plugin_abi::{Bytes, Host, Plugin};

use crate::carrier::{Fault, REPLY_BYTES_MAX};

/// What a call came back with.
pub(super) type Outcome = Result<Vec<u8>, Fault>;
type Back = Box<dyn FnOnce(Instance, Outcome) + Send>;

/// What `create` gave, ended when this is dropped.
pub(super) struct Instance {
    orders: Sender<Order>,
}

enum Order {
    Call { id: u64, message: Vec<u8> },
    Cancel(u64),
}

/// A call under way: dropped, nobody waits for it any more.
pub(super) struct Call {
    id: u64,
    orders: Sender<Order>,
}

impl Instance {
    /// Makes one on a thread, which then says whether there is one.
    pub(super) fn start(table: Plugin) -> io::Result<(Self, Receiver<bool>)> {
        let ((orders, queue), (made, is_made)) = (channel(), channel());
        thread::Builder::new()
            .name("dlf-plugin-host".to_owned())
            .spawn(move || {
                let mut instance = create(table);
                let _ = made.send(!instance.is_null());
                for order in queue {
                    obey(table, &mut instance, order);
                }
                if !instance.is_null() {
                    // SAFETY: what `create` gave, once; each call of it has come back.
                    unsafe { (table.destroy)(instance) };
                }
            })?;
        Ok((Self { orders }, is_made))
    }

    /// Asks it. It is handed over with the outcome, whenever that comes.
    pub(super) fn ask(
        self,
        message: Vec<u8>,
        back: impl FnOnce(Self, Outcome) + Send + 'static,
    ) -> Call {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let orders = self.orders.clone();
        waiting().insert(id, (self, Box::new(back)));
        // Its thread ends after the last of its senders.
        let _ = orders.send(Order::Call { id, message });
        Call { id, orders }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if waiting().contains_key(&self.id) {
            let _ = self.orders.send(Order::Cancel(self.id));
        }
    }
}

fn create(table: Plugin) -> *mut c_void {
    // SAFETY: the table's function, with a structure that lives as long as the process.
    unsafe { (table.create)(&raw const HOST.0) }
}

fn obey(table: Plugin, instance: &mut *mut c_void, order: Order) {
    if instance.is_null() {
        *instance = create(table);
    }
    match order {
        Order::Call { id, .. } if instance.is_null() => {
            let why = "its `create` gave no instance";
            come_back(id, Err(Fault::Ended(why.to_owned())));
        }
        Order::Call { id, message } => {
            let context = ptr::without_provenance_mut(usize::try_from(id).unwrap_or_default());
            // SAFETY: the table's function and its instance; the message lives until it returns, and the
            // context is a number.
            unsafe { (table.call)(*instance, id, Bytes::of(&message), context, done) };
        }
        Order::Cancel(_) if instance.is_null() => {}
        // SAFETY: the table's function and its instance.
        Order::Cancel(id) => unsafe { (table.cancel)(*instance, id) },
    }
}

/// Calls that have not come back, by number: a context is that number and no pointer, so that an answer
/// that comes late, twice or with any number finds nobody and does no harm.
static WAITING: LazyLock<Mutex<HashMap<u64, (Instance, Back)>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(1);

fn waiting() -> MutexGuard<'static, HashMap<u64, (Instance, Back)>> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn come_back(id: u64, outcome: Outcome) {
    let call = waiting().remove(&id);
    if let Some((instance, back)) = call {
        back(instance, outcome);
    }
}

unsafe extern "C" fn done(context: *mut c_void, reply: Bytes) {
    let outcome = if reply.length > REPLY_BYTES_MAX {
        Err(Fault::TooLarge {
            limit: REPLY_BYTES_MAX,
        })
    } else if reply.data.is_null() {
        Err(Fault::Garbage("it has no bytes".to_owned()))
    } else {
        // SAFETY: the plugin's bytes are valid until this function returns; they are copied before.
        Ok(unsafe { slice::from_raw_parts(reply.data, reply.length) }.to_vec())
    };
    come_back(context.addr() as u64, outcome);
}

struct Shared(Host);

// SAFETY: nothing of it changes, and its pointer is null.
unsafe impl Sync for Shared {}

static HOST: Shared = Shared(Host {
    size: size_of::<Host>(),
    context: ptr::null_mut(),
    log,
});

/// Longer lines are cut.
const LINE_BYTES_MAX: usize = 4096;

unsafe extern "C" fn log(_: *mut c_void, level: u32, line: Bytes) {
    if line.data.is_null() {
        return;
    }
    let length = line.length.min(LINE_BYTES_MAX);
    // SAFETY: the plugin's bytes are valid until this function returns.
    let line = String::from_utf8_lossy(unsafe { slice::from_raw_parts(line.data, length) });
    match level {
        0 | 1 => tracing::error!(target: "plugin", "{line}"),
        2 => tracing::warn!(target: "plugin", "{line}"),
        3 => tracing::info!(target: "plugin", "{line}"),
        _ => tracing::debug!(target: "plugin", "{line}"),
    }
}
