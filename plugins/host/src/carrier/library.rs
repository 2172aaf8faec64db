//! A shared library in this process, over the C ABI of `dlf-plugin-abi`. What it does wrong beyond a
//! panic or a call that never comes back takes this process with it: an isolated carrier is the way for
//! others' code.

#![allow(
    unsafe_code,
    reason = "the C ABI is made of pointers; each use says why it is sound"
)]

mod file;
mod instance;
mod pool;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use dlf_plugin_abi::{ABI_MAJOR, Entry, Plugin, SYMBOL};
use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use thiserror::Error;

use self::pool::Pool;
use super::{Channel, Fault, Question};

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
    pool: Arc<Pool>,
}

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
        let pool = Pool::start(table).ok_or_else(|| LoadError::Broken {
            path: path.to_owned(),
            why: "its `create` gave no instance; its log may say why",
        })?;
        Ok(Self { pool })
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

#[async_trait]
impl Channel for Library {
    async fn call(&self, question: Question) -> Result<Vec<u8>, Fault> {
        Arc::clone(&self.pool).ask(question).await
    }
}
