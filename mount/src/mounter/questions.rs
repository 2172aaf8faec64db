//! Questions of one child that are under way to the driver.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dlf_wire::mounter::v1::Told;
use tokio::sync::oneshot;

use crate::node::endings::QUESTIONS_MAX;

/// Open at once: a child that has given one up asks the next while we still wait for the first. What
/// a child asks beyond that is not passed on.
const OPEN_MAX: usize = 2 * QUESTIONS_MAX;

/// By the child's number for it.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: Mutex<HashMap<u64, oneshot::Sender<Told>>>,
}

impl Questions {
    /// Waits for the answer to a question. None if it is open already, or too many are.
    pub(super) fn open(&self, question: u64) -> Option<oneshot::Receiver<Told>> {
        let mut open = self.table();
        if open.len() >= OPEN_MAX || open.contains_key(&question) {
            return None;
        }
        let (sender, answer) = oneshot::channel();
        open.insert(question, sender);
        Some(answer)
    }

    /// Hands an answer to whoever waits for it.
    pub(super) fn answer(&self, answer: Told) {
        if let Some(waiting) = self.table().remove(&answer.question) {
            // It may have stopped waiting.
            let _ = waiting.send(answer);
        }
    }

    /// Nobody waits for this answer any more.
    pub(super) fn forget(&self, question: u64) {
        self.table().remove(&question);
    }

    fn table(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Told>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(question: u64, exit_code: u32) -> Told {
        Told {
            mount_id: "m".to_owned(),
            question,
            exit_code: Some(exit_code),
        }
    }

    #[test]
    fn an_answer_reaches_its_question_once() {
        let questions = Questions::default();
        let mut waiting = questions.open(1).unwrap();
        assert!(questions.open(1).is_none());
        questions.answer(answer(2, 9));
        assert!(waiting.try_recv().is_err());
        questions.answer(answer(1, 9));
        questions.answer(answer(1, 0));
        assert_eq!(waiting.try_recv().unwrap().exit_code, Some(9));
        assert!(questions.open(1).is_some());
    }

    #[test]
    fn a_child_that_only_asks_fills_no_memory() {
        let questions = Questions::default();
        let asked = (0..1000).filter_map(|question| questions.open(question));
        let asked: Vec<_> = asked.collect();
        assert_eq!(asked.len(), OPEN_MAX);
        questions.forget(0);
        assert!(questions.open(1000).is_some());
        assert!(questions.open(1001).is_none());
    }
}
