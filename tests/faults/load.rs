//! Pods that ask for a dataset, sent through admission without end and never kept.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

use dlf_tests::{eventually, settings};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::requests::create_dry;

/// Each sends by itself: while one waits for a webhook that does not answer, the others show whether those
/// that come after are answered.
const THREADS: u32 = 4;
/// Between two pods of a thread, which makes fifty a second of all: a gap of a tenth of a second meets five of
/// them, and most of two cores is left to what is tested.
const EVERY: Duration = Duration::from_millis(80);
/// What two seconds bring.
const SOME_MORE: usize = 100;

/// What became of the pods.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) admitted: usize,
    /// When, and why.
    pub(crate) refused: Vec<(Timestamp, String)>,
}

/// A steady stream of them, until it is ended.
pub(crate) struct Load {
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Answers>>,
    admitted: Arc<AtomicUsize>,
}

impl Load {
    /// Of pods that ask for the Dataset `books` of a namespace.
    pub(crate) fn begin(namespace: &str) -> Self {
        let (ended, admitted) = <(Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
        let threads = (0..THREADS)
            .map(|number| {
                let (namespace, pod) = (namespace.to_owned(), pod(number));
                let (ended, admitted) = (Arc::clone(&ended), Arc::clone(&admitted));
                thread::spawn(move || {
                    let mut answers = Answers::default();
                    sleep(EVERY * number / THREADS); // in turns, not four at once
                    while !ended.load(Ordering::Relaxed) {
                        let next = Instant::now() + EVERY;
                        match create_dry(&namespace, &pod) {
                            Ok(()) => {
                                answers.admitted += 1;
                                admitted.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(why) => answers.refused.push((Timestamp::now(), why)),
                        }
                        // The rate is what is asked for here.
                        sleep(next.saturating_duration_since(Instant::now()));
                    }
                    answers
                })
            })
            .collect();
        let load = Self {
            ended,
            threads,
            admitted,
        };
        load.goes_on();
        load
    }

    /// Waits for some more pods to be admitted.
    pub(crate) fn goes_on(&self) {
        let before = self.admitted.load(Ordering::Relaxed);
        eventually("more pods to be admitted", Duration::from_secs(30), || {
            let now = self.admitted.load(Ordering::Relaxed);
            if now >= before + SOME_MORE {
                Ok(())
            } else {
                Err(format!("{} since", now - before))
            }
        });
    }

    /// Ends it; gives all answers.
    pub(crate) fn end(mut self) -> Answers {
        self.ended.store(true, Ordering::Relaxed);
        let mut all = Answers::default();
        for thread in self.threads.drain(..) {
            let answers = thread.join().unwrap();
            all.admitted += answers.admitted;
            all.refused.extend(answers.refused);
        }
        all
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn pod(number: u32) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("load-{number}"),
            "labels": { "dataset.0.id": "books" },
        },
        "spec": {
            "containers": [{ "name": "main", "image": settings().get("TEST_IMAGE"), "command": ["true"] }],
        },
    })
}
