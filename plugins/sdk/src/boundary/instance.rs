use std::{collections::HashMap, ffi::c_void, io, panic::AssertUnwindSafe, thread};

use dlf_core::plugin::{PlanError, Reply};
use dlf_plugin_abi::{Bytes, Done};
use futures::FutureExt;
use tokio::{runtime, sync::mpsc, task::AbortHandle};

use crate::Plugin;

/// Calls that wait for the plugin's thread; more are answered with an error at once.
const QUEUED_MAX: usize = 1024;

/// A plugin with a thread and a runtime of its own.
pub(super) struct Instance {
    orders: mpsc::Sender<Order>,
}

enum Order {
    Call {
        id: u64,
        message: Vec<u8>,
        answer: Answer,
    },
    Cancel(u64),
}

impl Instance {
    pub(super) fn start(plugin: Plugin) -> io::Result<Self> {
        let (orders, queue) = mpsc::channel(QUEUED_MAX);
        let runtime = runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        // Ends with the instance, whose dropping closes the queue; nobody waits for it, since a
        // plugin that loops for ever never ends.
        thread::Builder::new()
            .name("dlf-plugin".to_owned())
            .spawn(move || runtime.block_on(serve(plugin, queue)))?;
        Ok(Self { orders })
    }

    pub(super) fn ask(&self, id: u64, message: Vec<u8>, answer: Answer) {
        let order = Order::Call {
            id,
            message,
            answer,
        };
        if let Err(refused) = self.orders.try_send(order)
            && let Order::Call { answer, .. } = refused.into_inner()
        {
            answer.give(&failed(
                "PluginBusy",
                format!("{QUEUED_MAX} calls wait for the plugin's thread already"),
            ));
        }
    }

    pub(super) fn cancel(&self, id: u64) {
        // A queue that is full holds calls that are cancelled by their deadline anyway.
        let _ = self.orders.try_send(Order::Cancel(id));
    }
}

async fn serve(plugin: Plugin, mut queue: mpsc::Receiver<Order>) {
    let mut running: HashMap<u64, AbortHandle> = HashMap::new();
    while let Some(order) = queue.recv().await {
        running.retain(|_, call| !call.is_finished());
        match order {
            Order::Call {
                id,
                message,
                answer,
            } => {
                let plugin = plugin.clone();
                let call = tokio::spawn(async move {
                    let reply = AssertUnwindSafe(plugin.answer(&message)).catch_unwind();
                    let reply = reply.await.unwrap_or_else(|_| {
                        failed("PluginPanicked", "the plugin panicked; its log says where")
                    });
                    answer.give(&reply);
                });
                running.insert(id, call.abort_handle());
            }
            Order::Cancel(id) => {
                if let Some(call) = running.remove(&id) {
                    call.abort();
                }
            }
        }
    }
}

fn failed(reason: &str, message: impl Into<String>) -> Reply {
    Reply::Error(PlanError::new(reason, message))
}

/// The host's function for one answer: called once, and at the latest when this is dropped.
pub(super) struct Answer {
    context: *mut c_void,
    done: Option<Done>,
}

// SAFETY: the ABI lets `done` be called from any thread, and the context is only handed back to it.
unsafe impl Send for Answer {}

impl Answer {
    pub(super) const fn new(context: *mut c_void, done: Done) -> Self {
        Self {
            context,
            done: Some(done),
        }
    }

    fn give(mut self, reply: &Reply) {
        self.hand_over(reply);
    }

    fn hand_over(&mut self, reply: &Reply) {
        if let Some(done) = self.done.take() {
            let text = serde_json::to_vec(reply).unwrap_or_default();
            // SAFETY: the host's function and context, called once; the bytes live until it returns.
            unsafe { done(self.context, Bytes::of(&text)) };
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let dropped = failed("PluginFailed", "the plugin gave the call up");
        self.hand_over(&dropped);
    }
}
