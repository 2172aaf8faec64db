//! How the thread ends that closed a file: the driver sees it, we do not.
//!
//! The kernel names a thread in each request by its id in the driver's pid namespace. What is asked
//! goes to the mounter, from there to the driver, and the answer comes back by the same way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dlf_wire::channel::Channel;
use dlf_wire::mounter::v1::{Ask, FromMounter, Told, from_mounter};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// Questions of one mount under way at once; more wait for their turn. An answer takes a fraction of
/// a millisecond, so that thousands of files that are closed at once get theirs in time.
pub(crate) const QUESTIONS_MAX: usize = 64;

/// How long a close may be held up for an answer, the wait for a turn included. A driver that is
/// replaced is away for longer, and one that does not know the question never answers.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A thread that waits for longer is looked at so often: who kills a program waits that long for its
/// end, and ten thousand that wait ask the driver five thousand times a second.
const KILLED_CHECKED_EVERY: Duration = Duration::from_secs(2);

/// The bits of a wait status that hold the signal (wait(2), `WTERMSIG`).
const SIGNAL_BITS: u32 = 0x7f;

/// How a thread ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It lives or ends by itself, or nobody can tell.
    Alive,
    /// This signal ends it.
    Signal(u8),
}

/// Asks the driver; clones ask for the same mount.
#[derive(Clone, Debug)]
pub(crate) struct Endings {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    mount_id: String,
    channel: Arc<Channel>,
    turns: Semaphore,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Option<u32>>>>,
}

impl Endings {
    pub(crate) fn new(mount_id: String, channel: Arc<Channel>) -> Self {
        let shared = Shared {
            mount_id,
            channel,
            turns: Semaphore::new(QUESTIONS_MAX),
            next: AtomicU64::new(1),
            waiting: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// How a thread ends, by its id in a FUSE request. Takes [`ANSWER_WITHIN`] at most; without an
    /// answer by then it is alive, as is thread 0: one that the driver cannot see.
    pub(crate) async fn of(&self, thread: u32) -> Ending {
        if thread == 0 {
            return Ending::Alive;
        }
        let answer = timeout(ANSWER_WITHIN, self.shared.ask(thread)).await;
        let exit_code = answer.ok().flatten().unwrap_or_default();
        match u8::try_from(exit_code & SIGNAL_BITS) {
            Ok(signal @ 1..) => Ending::Signal(signal),
            _ => Ending::Alive,
        }
    }

    /// Waits until a signal ends a thread, which may never be. The kernel does not wake a thread that
    /// waits for us: it ends once it has an answer, and this is when it wants none any more.
    pub(crate) async fn killed(&self, thread: u32) {
        loop {
            tokio::time::sleep(KILLED_CHECKED_EVERY).await;
            if let Ending::Signal(_) = self.of(thread).await {
                return;
            }
        }
    }

    /// Hands an answer to the one who asked, who may have stopped waiting.
    pub(crate) fn answer(&self, answer: &Told) {
        if let Some(waiting) = self.shared.waiting().remove(&answer.question) {
            let _ = waiting.send(answer.exit_code);
        }
    }
}

impl Shared {
    async fn ask(&self, thread: u32) -> Option<u32> {
        let _turn = self.turns.acquire().await.ok()?;
        let question = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting().insert(question, sender);
        let _forget = Forget {
            shared: self,
            question,
        };
        let ask = Ask {
            mount_id: self.mount_id.clone(),
            question,
            thread,
        };
        let message = FromMounter {
            request: 0,
            message: Some(from_mounter::Message::Ask(ask)),
        };
        self.channel.send(&message, None).await.ok()?;
        answer.await.ok()?
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Option<u32>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a question off the table however its asker ends.
struct Forget<'a> {
    shared: &'a Shared,
    question: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.shared.waiting().remove(&self.question);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A child's side and the mounter's.
    fn pair() -> (Endings, Channel) {
        let (ours, theirs) = Channel::pair().unwrap();
        (Endings::new("m".to_owned(), Arc::new(ours)), theirs)
    }

    async fn next_question(mounter: &Channel) -> Ask {
        match mounter.recv::<FromMounter>().await.unwrap().0.message {
            Some(from_mounter::Message::Ask(ask)) => ask,
            other => panic!("no question: {other:?}"),
        }
    }

    fn answer(ask: &Ask, exit_code: Option<u32>) -> Told {
        Told {
            mount_id: ask.mount_id.clone(),
            question: ask.question,
            exit_code,
        }
    }

    #[tokio::test]
    async fn the_low_seven_bits_are_the_signal() {
        let (endings, mounter) = pair();
        for (exit_code, ending) in [
            (Some(9), Ending::Signal(9)),
            (Some(139), Ending::Signal(11)),
            (Some(0), Ending::Alive),
            (Some(0x100), Ending::Alive),
            (None, Ending::Alive),
        ] {
            let (found, ()) = tokio::join!(endings.of(7), async {
                let ask = next_question(&mounter).await;
                assert_eq!((ask.mount_id.as_str(), ask.thread), ("m", 7));
                endings.answer(&answer(&ask, exit_code));
            });
            assert_eq!(found, ending, "{exit_code:?}");
        }
        assert!(endings.shared.waiting().is_empty());
    }

    #[tokio::test]
    async fn answers_come_in_any_order_and_nobody_gets_anothers() {
        let (endings, mounter) = pair();
        let mounter_side = async {
            let (one, two) = (next_question(&mounter).await, next_question(&mounter).await);
            endings.answer(&answer(&two, Some(two.thread)));
            // Of a question that nobody asked, and twice.
            endings.answer(&Told {
                question: 77,
                ..answer(&one, Some(1))
            });
            endings.answer(&answer(&two, Some(1)));
            endings.answer(&answer(&one, Some(one.thread)));
        };
        let (one, two, ()) = tokio::join!(endings.of(9), endings.of(15), mounter_side);
        assert_eq!((one, two), (Ending::Signal(9), Ending::Signal(15)));
    }

    #[tokio::test]
    async fn a_thread_that_nobody_sees_is_alive_and_not_asked_for() {
        let (endings, mounter) = pair();
        assert_eq!(endings.of(0).await, Ending::Alive);
        drop(endings);
        assert!(mounter.recv::<FromMounter>().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_thread_to_be_killed_is_told_when_it_is() {
        let (endings, mounter) = pair();
        let driver = async {
            for exit_code in [None, Some(0), Some(2)] {
                let ask = next_question(&mounter).await;
                endings.answer(&answer(&ask, exit_code));
            }
        };
        tokio::join!(endings.killed(7), driver);
        assert!(endings.shared.waiting().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_answer_it_is_alive() {
        let (endings, _silent) = pair();
        assert_eq!(endings.of(7).await, Ending::Alive);
        assert!(endings.shared.waiting().is_empty());
        let (endings, gone) = pair();
        drop(gone);
        assert_eq!(endings.of(7).await, Ending::Alive);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_limit_are_asked_at_once() {
        let (endings, mounter) = pair();
        let asked = (1..=2 * u32::try_from(QUESTIONS_MAX).unwrap()).map(|thread| {
            let endings = endings.clone();
            tokio::spawn(async move { endings.of(thread).await })
        });
        let asked: Vec<_> = asked.collect();
        let mut questions = Vec::new();
        while questions.len() < QUESTIONS_MAX {
            questions.push(next_question(&mounter).await);
        }
        assert_eq!(endings.shared.waiting().len(), QUESTIONS_MAX);
        assert_eq!(endings.shared.turns.available_permits(), 0);
        // One answer lets one more ask.
        endings.answer(&answer(&questions[0], Some(9)));
        next_question(&mounter).await;
        assert_eq!(endings.shared.waiting().len(), QUESTIONS_MAX);
        let mut found = Vec::new();
        for asked in asked {
            found.push(asked.await.unwrap());
        }
        let signals = found.iter().filter(|found| **found == Ending::Signal(9));
        assert_eq!(signals.count(), 1);
        assert!(endings.shared.waiting().is_empty());
    }
}
