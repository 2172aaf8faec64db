//! ABI 1 between a host and a plugin in a shared library: one exported function gives a table of
//! functions, and everything they carry is UTF-8 JSON (`docs/plugin-protocol.md`).
//!
//! Rules that hold across the boundary:
//! - the table and [`Host`] only ever grow at their end, and a reader looks at no field that lies
//!   beyond the `size` it was told;
//! - bytes belong to whoever made them, and are valid for as long as the call lasts that hands them
//!   over;
//! - no call unwinds, and `done` is called exactly once for each `call`, from any
//!   thread, before or after the function itself returns;
//! - a library is never unloaded.

use std::ffi::c_void;

/// What the library exports: an [`Entry`].
pub const SYMBOL: &str = "dlf_plugin_v1";
/// The major version: that of `dlf_plugin_v1`.
pub const ABI_MAJOR: u32 = 1;
/// The newest minor version of it: fields that were added since.
pub const ABI_MINOR: u32 = 0;

/// The exported function: gives the table, which lives as long as the process.
pub type Entry = unsafe extern "C" fn() -> *const Plugin;

/// Bytes that somebody else owns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// The first; anything when there are none.
    pub data: *const u8,
    /// How many.
    pub length: usize,
}

impl Bytes {
    /// Bytes of a slice, valid as long as it is.
    #[must_use]
    pub const fn of(bytes: &[u8]) -> Self {
        Self {
            data: bytes.as_ptr(),
            length: bytes.len(),
        }
    }
}

/// Takes an answer: a `Reply` as JSON. `context` is what came with the call.
pub type Done = unsafe extern "C" fn(context: *mut c_void, reply: Bytes);

/// Takes a line for the host's log. Levels: 1 error, 2 warning, 3 information, 4 debugging.
pub type Log = unsafe extern "C" fn(context: *mut c_void, level: u32, line: Bytes);

/// What a host gives to a plugin.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Size of this structure in bytes, as the host knows it.
    pub size: usize,
    /// Handed back with each call of `log`.
    pub context: *mut c_void,
    /// The log.
    pub log: Log,
}

/// What a library gives to a host.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Plugin {
    /// Size of this structure in bytes, as the plugin knows it.
    pub size: usize,
    /// The major version it was built with.
    pub abi_major: u32,
    /// The minor version it was built with.
    pub abi_minor: u32,
    /// Makes an instance, null on failure. `host` is valid until `destroy`.
    pub create: unsafe extern "C" fn(host: *const Host) -> *mut c_void,
    /// Asks an instance: `request` is a `Message` as JSON, `id` is for `cancel`.
    pub call: unsafe extern "C" fn(
        instance: *mut c_void,
        id: u64,
        request: Bytes,
        context: *mut c_void,
        done: Done,
    ),
    /// Nobody waits any more for the answer to the call of this id; its `done` may still come.
    pub cancel: unsafe extern "C" fn(instance: *mut c_void, id: u64),
    /// Ends an instance. No call of it is under way, and none follows.
    pub destroy: unsafe extern "C" fn(instance: *mut c_void),
}

// The table as hosts and plugins of every compiler read it: a change here is another major version.
#[cfg(target_pointer_width = "64")]
const _: () = {
    use std::mem::{align_of, offset_of, size_of};
    assert!(size_of::<Bytes>() == 16);
    assert!(size_of::<Host>() == 24);
    assert!(size_of::<Plugin>() == 48 && align_of::<Plugin>() == 8);
    assert!(offset_of!(Plugin, abi_major) == 8);
    assert!(offset_of!(Plugin, abi_minor) == 12);
    assert!(offset_of!(Plugin, create) == 16);
    assert!(offset_of!(Plugin, call) == 24);
    assert!(offset_of!(Plugin, cancel) == 32);
    assert!(offset_of!(Plugin, destroy) == 40);
};
