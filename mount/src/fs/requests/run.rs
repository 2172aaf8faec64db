//! Running the operation of a request, and answering it however that ends.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dlf_cache::ClientOptions;
use fuser::Errno;

use super::Requests;
use crate::fs::OPERATION_SLACK;
use crate::fs::core::Core;

/// A source that has answered nobody for so long is away, as far as a killed program is concerned: long
/// for a part of an upload, short for who waits until the program has gone.
const SILENT_FOR: Duration = Duration::from_secs(5);

impl Requests {
    /// Runs an operation of `thread` that changes something and ends by itself. A thread that
    /// [waits in vain](waits_in_vain) gets its answer; the operation goes on.
    pub(super) fn run<R: Refuse, T: Send, F>(
        &self,
        thread: u32,
        reply: R,
        operation: impl FnOnce(Arc<Core>) -> F,
        answer: impl FnOnce(R, T) + Send + 'static,
    ) where
        F: Future<Output = Result<T, Errno>> + Send + 'static,
    {
        let operation = operation(self.core.clone());
        let core = self.core.clone();
        self.runtime.spawn(async move {
            let mut operation = pin!(operation);
            tokio::select! {
                biased;
                outcome = &mut operation => finish(reply, outcome, answer),
                () = waits_in_vain(&core, thread) => {
                    reply.refuse(Errno::EINTR);
                    let _ = operation.await;
                }
            }
        });
    }

    /// Runs an operation of `thread` that is a bounded number of small requests: `EIO` when all
    /// together take longer than one may, and it is given up if the thread waits in vain.
    pub(super) fn run_bounded<R: Refuse, T: Send, F>(
        &self,
        thread: u32,
        reply: R,
        operation: impl FnOnce(Arc<Core>) -> F,
        answer: impl FnOnce(R, T) + Send + 'static,
    ) where
        F: Future<Output = Result<T, Errno>> + Send + 'static,
    {
        let timeout = self.core.settings().source_timeout;
        let limit = timeout + ClientOptions::KEY_GRACE_OF_MOUNT + OPERATION_SLACK;
        let operation = operation(self.core.clone());
        let core = self.core.clone();
        self.runtime.spawn(async move {
            let outcome = tokio::select! {
                biased;
                outcome = operation => outcome,
                () = waits_in_vain(&core, thread) => Err(Errno::EINTR),
                () = tokio::time::sleep(limit) => Err(Errno::EIO),
            };
            finish(reply, outcome, answer);
        });
    }
}

/// Waits until a thread is being killed that waits for a source which answers nobody.
///
/// That is what `FUSE_INTERRUPT` is for, which fuser 0.18 answers by `ENOSYS` without asking us. A
/// source that answers is waited for: what a killed program had closed is there when it has ended.
async fn waits_in_vain(core: &Core, thread: u32) {
    loop {
        core.endings.killed(thread).await;
        if core.source.is_silent(SILENT_FOR) {
            return;
        }
    }
}

fn finish<R: Refuse, T>(reply: R, outcome: Result<T, Errno>, answer: impl FnOnce(R, T)) {
    match outcome {
        Ok(done) => answer(reply, done),
        Err(errno) => reply.refuse(errno),
    }
}

/// A request that can be refused.
pub(super) trait Refuse: Send + 'static {
    fn refuse(self, errno: Errno);
}

macro_rules! refuse {
    ($($reply:ident)*) => {
        $(impl Refuse for fuser::$reply {
            fn refuse(self, errno: Errno) {
                self.error(errno);
            }
        })*
    };
}

refuse!(
    ReplyAttr ReplyCreate ReplyData ReplyDirectory ReplyDirectoryPlus ReplyEmpty ReplyEntry
    ReplyOpen ReplyWrite
);
