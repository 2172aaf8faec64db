//! Pods that ask for a dataset, sent through admission without end and never kept.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use dlf_tests::{eventually, kubectl_with, pod};

/// Pods of one command.
const BATCH: usize = 20;

/// What became of the pods.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) admitted: usize,
    /// When, since the load began, and why.
    pub(crate) refused: Vec<(Duration, String)>,
}

/// Two at a time, until it is ended.
pub(crate) struct Load {
    began: Instant,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Answers>>,
    admitted: Arc<AtomicUsize>,
}

impl Load {
    /// Of pods that ask for the Dataset `books` of a namespace.
    pub(crate) fn begin(namespace: &str) -> Self {
        let (began, ended) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let admitted = Arc::new(AtomicUsize::new(0));
        let threads = (0..2)
            .map(|number| {
                let (namespace, ended) = (namespace.to_owned(), Arc::clone(&ended));
                let admitted = Arc::clone(&admitted);
                thread::spawn(move || {
                    let pods = pods(number);
                    let mut answers = Answers::default();
                    while !ended.load(Ordering::Relaxed) {
                        let refused = send(&namespace, &pods);
                        answers.admitted += BATCH - refused.len();
                        admitted.fetch_add(BATCH - refused.len(), Ordering::Relaxed);
                        let now = began.elapsed();
                        answers
                            .refused
                            .extend(refused.into_iter().map(|why| (now, why)));
                    }
                    answers
                })
            })
            .collect();
        let load = Self {
            began,
            ended,
            threads,
            admitted,
        };
        load.goes_on();
        load
    }

    /// How long it has been going on.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits for some more pods to be admitted.
    pub(crate) fn goes_on(&self) {
        let before = self.admitted.load(Ordering::Relaxed);
        eventually("more pods to be admitted", Duration::from_secs(30), || {
            let now = self.admitted.load(Ordering::Relaxed);
            if now >= before + 2 * BATCH {
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

fn pods(number: usize) -> String {
    let mut pods = String::new();
    for index in 0..BATCH {
        let name = format!("load-{number}-{index}");
        let _ = writeln!(pods, "{}---", pod(&name, "dataset.0.id: books", "true", ""));
    }
    pods
}

/// Reasons of those that were refused.
fn send(namespace: &str, pods: &str) -> Vec<String> {
    let create = ["-n", namespace, "create", "--dry-run=server", "-f", "-"];
    let answer = kubectl_with(&create, pods);
    let made = answer.text.lines().count();
    let mut refused: Vec<String> = answer.error.lines().map(str::to_owned).collect();
    refused.resize(BATCH.saturating_sub(made), "without a word".to_owned());
    refused
}
