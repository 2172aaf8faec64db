//! A shared library in this process, over the C ABI of `dlf-plugin-abi`. What it does wrong beyond a
//! panic or a late answer takes this process with it: an isolated carrier is the way for others' code.

#![allow(
    unsafe_code,
    reason = "the C ABI is made of pointers; each use says why it is sound"
)]

mod file;

use std::{
    collections::HashMap,
    ffi::c_void,
    path::{Path, PathBuf},
    slice,
    sync::{
        LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use dlf_plugin_abi::{ABI_MAJOR, Bytes, Entry, Host, Plugin, SYMBOL};
use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use thiserror::Error;
use tokio::sync::oneshot;

use super::{Channel, Fault, REPLY_BYTES_MAX};

/// Why a library is not loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The path depends on where the process was started.
    #[error("{path}: is relative; give an absolute path")]
    Relative {
        /// As it was given.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others may change what would be run.
    #[error(
        "{path}: uid {owner} owns it and its mode is {mode:o}, so that others may change what would be run; `chown` \
         it to root or to the user of this process, and `chmod go-w` it"
    )]
    Writable {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not the file that was meant.
    #[error(
        "{path}: its SHA-256 is {found}, and the configuration says {expected}; use the file that was meant, or set \
         sha256 to the new one"
    )]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Its sum.
        found: String,
        /// The configuration's.
        expected: String,
    },
    /// The system's loader refuses it.
    #[error("{path}: cannot be loaded: {source}; is it a shared library for this machine?")]
    Loader {
        /// The file.
        path: PathBuf,
        /// Why.
        source: libloading::Error,
    },
    /// It is no plugin of ours.
    #[error(
        "{path}: has no symbol {SYMBOL}; this host knows ABI major {ABI_MAJOR}: export the plugin with export_plugin! \
         of a dlf-plugin-sdk of that major"
    )]
    Symbol {
        /// The file.
        path: PathBuf,
    },
    /// Its table is of a version that this host does not know.
    #[error(
        "{path}: is built for ABI major {found}, this host knows {ABI_MAJOR}; build it with a dlf-plugin-sdk of that major"
    )]
    Abi {
        /// The file.
        path: PathBuf,
        /// What its table says.
        found: u32,
    },
    /// It gives no table, or one that is too short, or no instance.
    #[error("{path}: {why}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// A plugin in a library, which stays loaded as long as the process lives.
pub struct Library {
    table: Plugin,
    instance: Instance,
    // The plugin keeps a pointer to it.
    _host: Box<Host>,
}

/// What the plugin's `create` gave.
#[derive(Clone, Copy)]
struct Instance(*mut c_void);

// SAFETY: the ABI lets every function of the table be called from any thread.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}
// SAFETY: as above; it is handed back to the plugin and never looked into.
unsafe impl Send for Instance {}

impl Library {
    /// Loads a library: an absolute path of a file that nobody else may change, and of this SHA-256 if
    /// one is given (in hex).
    pub fn load(path: &Path, sha256: Option<&str>) -> Result<Self, LoadError> {
        let file = file::checked(path, sha256)?;
        let opened = file::path_of(&file);
        // SAFETY: initialisers of the library run here; that this file may is the caller's decision.
        let handle = unsafe { Handle::open(Some(&opened), RTLD_NOW | RTLD_LOCAL) };
        let handle = handle.map_err(|source| LoadError::Loader {
            path: path.to_owned(),
            source,
        })?;
        // SAFETY: a symbol of this name is a function of this type.
        let entry = unsafe { handle.get::<Entry>(SYMBOL.as_bytes()) }.map(|entry| *entry);
        // Never unloaded: threads of the plugin's may run its code at any time. Never closed: the loader
        // knows libraries by path, and would take the next file of this number for this one.
        std::mem::forget((handle, file));
        let entry = entry.map_err(|_| LoadError::Symbol {
            path: path.to_owned(),
        })?;
        // SAFETY: the entry of ABI 1, which takes nothing.
        let table = unsafe { read(entry(), path) }?;
        let host = Box::new(Host {
            size: size_of::<Host>(),
            context: std::ptr::null_mut(),
            log,
        });
        // SAFETY: the table's function, with a structure that lives as long as the instance.
        let instance = unsafe { (table.create)(&raw const *host) };
        if instance.is_null() {
            return Err(LoadError::Broken {
                path: path.to_owned(),
                why: "its `create` gave no instance; its log may say why",
            });
        }
        Ok(Self {
            table,
            instance: Instance(instance),
            _host: host,
        })
    }
}

/// Reads a table no further than its `size` says.
///
/// # Safety
/// `table` is null or a table of ABI 1.
unsafe fn read(table: *const Plugin, path: &Path) -> Result<Plugin, LoadError> {
    let broken = |why| LoadError::Broken {
        path: path.to_owned(),
        why,
    };
    if table.is_null() {
        return Err(broken("its entry gives no table"));
    }
    // SAFETY: every table of every version begins with `size` and `abi_major`.
    let (size, abi_major) = unsafe { ((*table).size, (*table).abi_major) };
    if abi_major != ABI_MAJOR {
        return Err(LoadError::Abi {
            path: path.to_owned(),
            found: abi_major,
        });
    }
    if size < size_of::<Plugin>() {
        return Err(broken(
            "its table is shorter than that of ABI 1.0; build it with the header of this version",
        ));
    }
    // SAFETY: it is of this major version and as long as this structure.
    Ok(unsafe { *table })
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: what `create` gave, once; calls hold a reference, so none is under way.
        unsafe { (self.table.destroy)(self.instance.0) };
    }
}

/// Calls that wait for their answer, by number: a context is that number and no pointer, so that an
/// answer that comes late, twice or with any number finds nobody and does no harm.
static WAITING: LazyLock<Mutex<Waiting>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(1);

type Waiting = HashMap<u64, oneshot::Sender<Result<Vec<u8>, Fault>>>;

fn waiting() -> MutexGuard<'static, Waiting> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a call off the list, and tells the plugin, when its caller stops waiting.
struct Place<'a> {
    id: u64,
    library: &'a Library,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if waiting().remove(&self.id).is_some() {
            // SAFETY: the table's function and its instance, which `library` keeps.
            unsafe { (self.library.table.cancel)(self.library.instance.0, self.id) };
        }
    }
}

#[async_trait]
impl Channel for Library {
    async fn call(&self, message: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        waiting().insert(id, answer);
        let _place = Place { id, library: self };
        let context = std::ptr::without_provenance_mut(usize::try_from(id).unwrap_or_default());
        // SAFETY: the table's function and its instance; the message lives until it returns, and the
        // context is a number.
        unsafe {
            (self.table.call)(self.instance.0, id, Bytes::of(&message), context, done);
        }
        answered
            .await
            .map_err(|_| Fault::Ended("it let the call go".to_owned()))?
    }
}

unsafe extern "C" fn done(context: *mut c_void, reply: Bytes) {
    let Some(caller) = waiting().remove(&(context.addr() as u64)) else {
        return;
    };
    let answer = if reply.length > REPLY_BYTES_MAX {
        Err(Fault::TooLarge {
            limit: REPLY_BYTES_MAX,
        })
    } else if reply.data.is_null() {
        Err(Fault::Garbage("it has no bytes".to_owned()))
    } else {
        // SAFETY: the plugin's bytes are valid until this function returns; they are copied before.
        Ok(unsafe { slice::from_raw_parts(reply.data, reply.length) }.to_vec())
    };
    let _ = caller.send(answer);
}

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
