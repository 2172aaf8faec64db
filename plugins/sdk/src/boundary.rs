//! The plugin's side of the C ABI. Calls run on a thread and a runtime of the plugin's own: nothing of
//! the host's runtime is seen here, and what blocks here blocks nobody else.

#![allow(
    unsafe_code,
    reason = "the C ABI is made of pointers; each use says why it is sound"
)]

mod instance;
mod log;

use std::{
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr, slice,
};

use dlf_plugin_abi::{ABI_MAJOR, ABI_MINOR, Bytes, Done};
pub use dlf_plugin_abi::{Host, Plugin as Table};

use self::instance::{Answer, Instance};
use crate::Plugin;

/// Makes an instance, as the table has it.
pub type Create = unsafe extern "C" fn(*const Host) -> *mut c_void;

/// The table of a plugin whose instances `create` makes.
#[must_use]
pub const fn table(create: Create) -> Table {
    Table {
        size: size_of::<Table>(),
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        create,
        call,
        cancel,
        destroy,
    }
}

/// Makes an instance of what `plugin` gives; null when that fails.
///
/// # Safety
/// `host` is null, or a host's structure that lives as long as the instance.
pub unsafe fn create(host: *const Host, plugin: fn() -> Plugin) -> *mut c_void {
    let made = catch_unwind(|| {
        // SAFETY: the caller's promise.
        if let Some(host) = unsafe { host.as_ref() } {
            log::to(*host);
        }
        Instance::start(plugin())
    });
    match made {
        Ok(Ok(instance)) => Box::into_raw(Box::new(instance)).cast(),
        Ok(Err(_)) | Err(_) => ptr::null_mut(),
    }
}

unsafe extern "C" fn call(
    instance: *mut c_void,
    id: u64,
    request: Bytes,
    context: *mut c_void,
    done: Done,
) {
    let answer = Answer::new(context, done);
    // SAFETY: the host hands back what `create` gave it, and has not destroyed it.
    let Some(instance) = (unsafe { instance.cast::<Instance>().as_ref() }) else {
        return; // dropped, the answer says so
    };
    // SAFETY: the host's bytes are valid until this function returns; they are copied before.
    let message = unsafe { slice::from_raw_parts(request.data, request.length) }.to_vec();
    // What panics drops the answer, which says so.
    let _ = catch_unwind(AssertUnwindSafe(|| instance.ask(id, message, answer)));
}

unsafe extern "C" fn cancel(instance: *mut c_void, id: u64) {
    // SAFETY: as in `call`.
    if let Some(instance) = unsafe { instance.cast::<Instance>().as_ref() } {
        let _ = catch_unwind(AssertUnwindSafe(|| instance.cancel(id)));
    }
}

unsafe extern "C" fn destroy(instance: *mut c_void) {
    if !instance.is_null() {
        // SAFETY: the host hands back what `create` gave it, once, and uses it no more.
        let instance = unsafe { Box::from_raw(instance.cast::<Instance>()) };
        let _ = catch_unwind(AssertUnwindSafe(|| drop(instance)));
    }
}
