use std::{ffi::c_void, io, sync::OnceLock};

use dlf_plugin_abi::{Bytes, Host, Log};
use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// What is logged with [`tracing`] goes to the host from now on.
pub(super) fn to(host: Host) {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let sink = Sink {
            context: host.context,
            log: host.log,
            level: 3,
        };
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
            .without_time() // the host's log has its own
            .with_level(false)
            .with_ansi(false)
            .with_writer(sink)
            .finish();
        // A plugin with a subscriber of its own keeps it.
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}

/// A writer of whole lines, each with its level.
#[derive(Clone, Copy)]
struct Sink {
    context: *mut c_void,
    log: Log,
    level: u32,
}

// SAFETY: the ABI lets `log` be called from any thread, and the context is only handed back to it.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

impl io::Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        // SAFETY: the host's function and context; the bytes live until it returns.
        unsafe { (self.log)(self.context, self.level, Bytes::of(text)) };
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Self {
        let level = match *of.level() {
            Level::ERROR => 1,
            Level::WARN => 2,
            Level::INFO => 3,
            Level::DEBUG | Level::TRACE => 4,
        };
        Self { level, ..*self }
    }
}
