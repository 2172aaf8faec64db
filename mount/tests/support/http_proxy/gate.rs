//! A request that waits until a test lets it go.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use dlf_tests::patience;

/// How long a test waits for the request that is to be held.
const ARRIVAL_TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Paused,
    Open,
}

/// Where a connection of the proxy waits.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::Waiting),
            changed: Condvar::new(),
        })
    }

    pub(super) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        if *state == State::Waiting {
            *state = State::Paused;
            self.changed.notify_all();
        }
        let paused = |state: &mut State| *state == State::Paused;
        drop(self.changed.wait_while(state, paused).unwrap());
    }
}

/// What a test has in hand of a request that is held. It goes on when this is dropped.
#[derive(Debug)]
pub struct Hold(pub(super) Arc<Gate>);

impl Hold {
    /// Waits until the request has come.
    pub fn wait(&self) {
        let state = self.0.state.lock().unwrap();
        let waiting = |state: &mut State| *state == State::Waiting;
        let (state, timeout) = self
            .0
            .changed
            .wait_timeout_while(state, patience(ARRIVAL_TIMEOUT), waiting)
            .unwrap();
        drop(state);
        assert!(!timeout.timed_out(), "the request that was to be held came");
    }

    /// Whether the request has come.
    pub fn has_come(&self) -> bool {
        *self.0.state.lock().unwrap() != State::Waiting
    }

    pub fn let_go(&self) {
        *self.0.state.lock().unwrap() = State::Open;
        self.0.changed.notify_all();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.let_go();
    }
}
