use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};

use super::{Channel, Fault, OPEN, Question};

/// Asks a plugin one thing at a time. So a call waits for no longer than the one before it may take, and the
/// call that runs when the plugin hangs or ends is the one that is to blame. What is planned follows from the
/// request alone: a plugin that was asked many things at once would wait for nothing but its processor.
pub struct Turns {
    inner: Arc<dyn Channel>,
    /// Time for an answer.
    deadline: Duration,
    /// Whether the plugin may still be at a call that nobody waits for.
    given_up: Mutex<bool>,
}

/// The right to ask next.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    given_up: MutexGuard<'a, bool>,
}

impl Turns {
    /// Gives each call of `inner` this long from when the plugin has it.
    #[must_use]
    pub fn new(inner: Arc<dyn Channel>, deadline: Duration) -> Self {
        Self {
            inner,
            deadline,
            given_up: Mutex::default(),
        }
    }

    /// Waits for one's turn, in the order of asking.
    pub(super) async fn next(&self) -> Turn<'_> {
        Turn {
            turns: self,
            given_up: self.given_up.lock().await,
        }
    }

    pub(super) fn inner(&self) -> &dyn Channel {
        self.inner.as_ref()
    }
}

impl Turn<'_> {
    /// Asks, and begins anew with a plugin that gives no answer in time.
    pub(super) async fn ask(mut self, question: Question) -> Result<Vec<u8>, Fault> {
        let inner = self.turns.inner();
        // True as well when whoever asked was dropped in the midst of what follows.
        if std::mem::replace(&mut *self.given_up, true) {
            inner.reset().await;
        }
        let outcome = self.answer(question).await;
        if matches!(outcome, Err(Fault::Late(_))) {
            inner.reset().await;
        }
        *self.given_up = false;
        outcome
    }

    async fn answer(&self, question: Question) -> Result<Vec<u8>, Fault> {
        let (inner, deadline) = (self.turns.inner(), self.turns.deadline);
        let opened = timeout(OPEN, inner.open()).await;
        let silent = || Fault::Unreachable(format!("no connection within {} s", OPEN.as_secs()));
        opened.map_err(|_| silent())??;
        let answered = timeout(deadline, inner.call(question)).await;
        let reply = answered.map_err(|_| Fault::Late(deadline))??;
        Fault::told(&reply).map_or(Ok(reply), Err)
    }
}

#[async_trait]
impl Channel for Turns {
    async fn call(&self, question: Question) -> Result<Vec<u8>, Fault> {
        self.next().await.ask(question).await
    }

    fn generation(&self) -> u64 {
        self.inner.generation()
    }
}
