use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dlf_plugin_abi::Plugin;
use tokio::sync::oneshot;

use super::instance::Instance;
use crate::carrier::{Fault, Question, Whose};

/// Instances at most: one that serves, and those whose call never came back. A call that loops cannot be
/// ended, and takes a processor from the operator for as long as that lives.
const INSTANCES_MAX: usize = 4;

/// Instances of a plugin. One whose call has not come back is not asked, so that the next call has another.
pub(super) struct Pool {
    table: Plugin,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Instance>,
    made: usize,
    /// Whose calls have not come back: none of them costs a second instance.
    running: HashSet<Whose>,
}

impl Pool {
    /// With the first instance; none if the plugin makes none.
    pub(super) fn start(table: Plugin) -> Option<Arc<Self>> {
        let (instance, is_made) = Instance::start(table).ok()?;
        is_made.recv().is_ok_and(|made| made).then(|| {
            let state = State {
                idle: vec![instance],
                made: 1,
                ..State::default()
            };
            Arc::new(Self {
                table,
                state: Mutex::new(state),
            })
        })
    }

    /// Asks an instance that is idle.
    pub(super) async fn ask(self: Arc<Self>, question: Question) -> Result<Vec<u8>, Fault> {
        let Question { message, dataset } = question;
        let instance = self.take(dataset.as_ref())?;
        let (answer, answered) = oneshot::channel();
        let _call = instance.ask(message, move |instance, outcome| {
            self.give_back(instance, dataset.as_ref());
            // Whoever asked may have gone.
            let _ = answer.send(outcome);
        });
        let gone = |_| Fault::Ended("it let the call go".to_owned());
        answered.await.map_err(gone)?
    }

    fn take(&self, whose: Option<&Whose>) -> Result<Instance, Fault> {
        let mut state = self.lock();
        if whose.is_some_and(|whose| state.running.contains(whose)) {
            return Err(Fault::Runs);
        }
        let instance = match state.idle.pop() {
            Some(idle) => idle,
            None if state.made == INSTANCES_MAX => return Err(Fault::Spent(state.made)),
            None => {
                let no_thread = |error| Fault::Unreachable(format!("no thread for it: {error}"));
                let (another, _) = Instance::start(self.table).map_err(no_thread)?;
                state.made += 1;
                another
            }
        };
        state.running.extend(whose.cloned());
        Ok(instance)
    }

    fn give_back(&self, instance: Instance, whose: Option<&Whose>) {
        let mut state = self.lock();
        state.idle.push(instance);
        if let Some(whose) = whose {
            state.running.remove(whose);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
