use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::FutureExt;

use super::*;
use crate::fs::key::Root;

fn key(key: &str) -> Key {
    Root::new("", None).key(&[key])
}

fn keys(keys: &[&str]) -> Vec<Key> {
    keys.iter().map(|name| key(name)).collect()
}

#[tokio::test]
async fn a_key_is_changed_by_one_at_a_time_and_others_are_not_kept_waiting() {
    let locks = Arc::new(KeyedLocks::default());
    let first = locks.lock(keys(&["a", "d/b"])).await;
    for taken in ["a", "d/b", "d/"] {
        assert!(locks.lock(keys(&["x", taken])).now_or_never().is_none());
    }
    for free in ["aa", "d/bb", "d/b/c", "d"] {
        assert!(locks.lock(keys(&[free])).now_or_never().is_some(), "{free}");
    }
    drop(first);
    let directory = locks.lock(keys(&["d/"])).await;
    assert!(locks.lock(keys(&["d/b/c"])).now_or_never().is_none());
    drop(directory);
    assert!(locks.lock(keys(&["d/b/c"])).now_or_never().is_some());
}

#[tokio::test]
async fn whoever_waits_goes_on_when_the_key_is_free() {
    let locks = Arc::new(KeyedLocks::default());
    let count = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let (locks, count) = (locks.clone(), count.clone());
            tokio::spawn(async move {
                let key = if n % 7 == 0 { "d/" } else { "d/a" };
                let locked = locks.lock(keys(&[key])).await;
                assert_eq!(count.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
                count.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                drop(locked);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// What each of a few tasks locks, in order: each is let go before the next is asked for.
const PLANS: [&[&[&str]]; 3] = [
    &[&["a", "d/b"], &["d/c"]],
    &[&["d/"], &["a"]],
    &[&["e/x", "d/b"]],
];

/// A task between two of its steps: a future that was polled and waits, or what it holds.
enum State {
    Idle,
    Asks(Pin<Box<dyn Future<Output = KeyGuard>>>, Arc<Woken>),
    Holds(KeyGuard),
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Some tasks and one table, run in an order that a test chooses. A task is asked to go on only if it
/// was woken: one that nobody wakes stands still, as it would in the mount.
struct Schedule {
    locks: Arc<KeyedLocks>,
    tasks: Vec<(State, usize)>,
}

impl Schedule {
    fn new() -> Self {
        Self {
            locks: Arc::default(),
            tasks: PLANS.iter().map(|_| (State::Idle, 0)).collect(),
        }
    }

    fn can_go_on(&self) -> Vec<usize> {
        let can = |task: &usize| match &self.tasks[*task] {
            (State::Idle, done) => *done < PLANS[*task].len(),
            (State::Asks(_, woken), _) => woken.0.load(Ordering::SeqCst),
            (State::Holds(_), _) => true,
        };
        (0..self.tasks.len()).filter(can).collect()
    }

    fn go_on(&mut self, task: usize) {
        let (state, done) = &mut self.tasks[task];
        let (mut asks, woken) = match std::mem::replace(state, State::Idle) {
            State::Holds(guard) => {
                drop(guard);
                *done += 1;
                return;
            }
            State::Asks(asks, woken) => (asks, woken),
            State::Idle => {
                let (locks, wanted) = (self.locks.clone(), keys(PLANS[task][*done]));
                let asks = Box::pin(async move { locks.lock(wanted).await });
                (
                    asks as Pin<Box<dyn Future<Output = KeyGuard>>>,
                    Arc::default(),
                )
            }
        };
        woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(woken.clone());
        *state = match asks.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(guard) => State::Holds(guard),
            Poll::Pending => State::Asks(asks, woken),
        };
    }

    fn locked(&self) -> Vec<&[Key]> {
        let locked = self.tasks.iter().filter_map(|(state, _)| match state {
            State::Holds(guard) => Some(&guard.keys[..]),
            State::Idle | State::Asks(..) => None,
        });
        locked.collect()
    }

    fn is_over(&self) -> bool {
        let mut tasks = self.tasks.iter().zip(PLANS);
        tasks.all(|((_, done), plan)| *done == plan.len())
    }
}

/// Goes the way of these choices from the beginning, then always the first way. Gives how many ways
/// there were at each point.
fn run(choices: &[usize]) -> Vec<usize> {
    let (mut schedule, mut ways) = (Schedule::new(), Vec::new());
    loop {
        let can = schedule.can_go_on();
        if can.is_empty() {
            assert!(schedule.is_over(), "nobody goes on after {choices:?}");
            return ways;
        }
        let choice = choices.get(ways.len()).copied().unwrap_or(0);
        ways.push(can.len());
        schedule.go_on(can[choice]);
        let locked = schedule.locked();
        for (index, keys) in locked.iter().enumerate() {
            let others = locked[index + 1..].iter().flat_map(|keys| keys.iter());
            let mut pairs = others.flat_map(|other| keys.iter().map(move |key| (key, other)));
            assert!(
                !pairs.any(|(key, other)| key.overlaps(other)),
                "after {choices:?}"
            );
        }
    }
}

#[test]
fn in_every_order_a_key_has_one_holder_and_everybody_gets_his() {
    let (mut choices, mut orders) = (Vec::new(), 0);
    loop {
        let ways = run(&choices);
        orders += 1;
        choices.resize(ways.len(), 0);
        // The next order: the last choice that can be another is.
        while choices
            .last()
            .is_some_and(|last| last + 1 == ways[choices.len() - 1])
        {
            choices.pop();
        }
        match choices.last_mut() {
            Some(last) => *last += 1,
            None => break,
        }
    }
    println!("{orders} orders");
}
