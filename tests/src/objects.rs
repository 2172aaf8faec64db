//! Objects of the API server: read, and watched until they are as expected.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::{Duration, Instant},
};

use futures::StreamExt;
use kube::{
    api::{DeleteParams, DynamicObject, ListParams, PostParams, TypeMeta},
    runtime::{WatchStreamExt, utils::Backoff, watcher::watch_object},
};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{
    client::{answer, api, api_of_one, spawn},
    kinds::{Kind, kind},
    patience,
};

/// A watch shows every change at once. A look that depends on something else is taken this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Between two attempts to watch while the API server is away: it is looked for as often as that, however
/// long it has been away, because a test waits for it.
const WATCH_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// An object, or none if there is none; `namespace` is empty for kinds that are in none.
///
/// # Panics
/// When the API server does not say.
#[must_use]
pub fn find(kind: &str, namespace: &str, name: &str) -> Option<Value> {
    try_find(kind, namespace, name).unwrap_or_else(|error| panic!("{kind} {name}: {error}"))
}

/// The same where the API server may be away.
///
/// # Errors
/// Why the API server does not say.
pub fn try_find(kind: &str, namespace: &str, name: &str) -> Result<Option<Value>, String> {
    let kind = self::kind(kind);
    let found = answer(api_of_one(kind, namespace).get_opt(name))?;
    Ok(found.map(|object| json_of(kind, object)))
}

/// Objects with these labels, of all namespaces if `namespace` is empty and with any labels if `labels` is.
///
/// # Panics
/// When the API server does not say.
#[must_use]
pub fn list(kind: &str, namespace: &str, labels: &str) -> Vec<Value> {
    list_by(kind, namespace, &ListParams::default().labels(labels))
}

/// Objects with these fields: the few that a kind can be selected by.
pub(crate) fn list_with_fields(kind: &str, namespace: &str, fields: &str) -> Vec<Value> {
    list_by(kind, namespace, &ListParams::default().fields(fields))
}

fn list_by(word: &str, namespace: &str, selected: &ListParams) -> Vec<Value> {
    let kind = kind(word);
    let listed = answer(api(kind, namespace).list(selected));
    let listed = listed.unwrap_or_else(|error| panic!("the {word} of {namespace:?}: {error}"));
    listed
        .into_iter()
        .map(|object| json_of(kind, object))
        .collect()
}

/// Makes an object.
///
/// # Errors
/// Why the API server did not.
pub(crate) fn create(kind: &str, namespace: &str, object: &Value) -> Result<(), String> {
    let object = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
    let api = api_of_one(self::kind(kind), namespace);
    answer(api.create(&PostParams::default(), &object)).map(|_| ())
}

/// Asks for the deletion of an object that may be gone already.
///
/// # Errors
/// Why the API server did not take it.
pub(crate) fn delete(kind: &str, namespace: &str, name: &str) -> Result<(), String> {
    let api = api_of_one(self::kind(kind), namespace);
    answer(async {
        match api.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            answered => answered.map(|_| ()),
        }
    })
}

fn json_of(kind: &Kind, mut object: DynamicObject) -> Value {
    // Items of a list do not say what they are.
    object.types.get_or_insert_with(|| TypeMeta {
        api_version: kind.api_version(),
        kind: kind.name.to_owned(),
    });
    serde_json::to_value(object).unwrap_or_else(|error| panic!("a {}: {error}", kind.name))
}

/// Waits, on a watch of one object, until `look` at it gives Ok, and gives what it gave. The object is
/// `(kind, namespace, name)`, with an empty namespace for kinds that are in none; `look` gets none while there
/// is none, and may ask the API server for other objects.
///
/// # Panics
/// When `look` still gives an error after `within`, times the patience factor: with `what` was waited for and
/// that error.
pub fn await_object<T>(
    what: &str,
    within: Duration,
    object: (&str, &str, &str),
    look: impl FnMut(Option<&Value>) -> Result<T, String>,
) -> T {
    try_await_object(what, within, object, look).unwrap_or_else(|error| panic!("{error}"))
}

/// The same for a failure to which more is to be added.
///
/// # Errors
/// What [`await_object`] panics with.
pub(crate) fn try_await_object<T>(
    what: &str,
    within: Duration,
    object: (&str, &str, &str),
    mut look: impl FnMut(Option<&Value>) -> Result<T, String>,
) -> Result<T, String> {
    let within = patience(within);
    let deadline = Instant::now() + within;
    let watch = Watch::start(object);
    let (mut newest, mut trouble) = (None, String::new());
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match watch.states.recv_timeout(left.min(LOOK_EVERY)) {
            Ok(Ok(seen)) => (newest, trouble) = (Some(seen), String::new()),
            Ok(Err(error)) => trouble = format!("; its watch: {error}"),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("the watch of {object:?} ended"),
        }
        let looked = match &newest {
            Some(seen) => look(seen.as_ref()),
            None => Err("the API server has not said what it is".to_owned()),
        };
        let why = match looked {
            Ok(found) => return Ok(found),
            Err(why) => why,
        };
        if Instant::now() >= deadline {
            return Err(format!("waited {within:?} for {what}: {why}{trouble}"));
        }
    }
}

/// An object as it is, or none; or what keeps the watch from saying.
type State = Result<Option<Value>, String>;

/// A watch of one object, until it is dropped.
struct Watch {
    states: Receiver<State>,
    task: JoinHandle<()>,
}

impl Watch {
    /// The watch runs beside the test's thread, which can therefore ask for other things in a look.
    fn start((kind, namespace, name): (&str, &str, &str)) -> Self {
        let kind = self::kind(kind);
        let (sender, states) = channel();
        let watched = watch_object(api_of_one(kind, namespace), name).backoff(Steady);
        let task = spawn(async move {
            let mut watched = Box::pin(watched);
            while let Some(seen) = watched.next().await {
                let state = seen
                    .map(|object| object.map(|object| json_of(kind, object)))
                    .map_err(|error| error.to_string());
                if Sender::send(&sender, state).is_err() {
                    return;
                }
            }
        });
        Self { states, task }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The pause before the next attempt to watch.
struct Steady;

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(WATCH_AGAIN_AFTER)
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}
