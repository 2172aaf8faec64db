//! The table against a history of the source: requests overtake each other, and what the table
//! believes is always what the source had when it was asked, and never older than our own changes.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use super::tests::{Table, Writers, version};
use super::*;

const NAMES: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug)]
enum Step {
    /// Somebody else changes the source.
    Outside(usize, Option<u8>),
    /// The source is asked; the answer comes later.
    Ask(usize),
    /// One of the answers under way arrives.
    Answer(prop::sample::Index),
    /// This mount removes the name.
    Remove(usize),
    /// This mount writes the name and closes it.
    Write(usize, u8),
    /// The kernel forgets all it was told of the name.
    Forget(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    prop_oneof![
        3 => (name(), prop::option::of(0..3_u8)).prop_map(|(name, to)| Step::Outside(name, to)),
        4 => name().prop_map(Step::Ask),
        5 => any::<prop::sample::Index>().prop_map(Step::Answer),
        2 => name().prop_map(Step::Remove),
        2 => (name(), 0..3_u8).prop_map(|(name, to)| Step::Write(name, to)),
        1 => name().prop_map(Step::Forget),
    ]
}

/// What the source had under each name, from when on.
#[derive(Default)]
struct History(HashMap<usize, Vec<(Instant, Option<u8>)>>);

impl History {
    fn set(&mut self, name: usize, now: Instant, to: Option<u8>) {
        self.0.entry(name).or_default().push((now, to));
    }

    fn at(&self, name: usize, when: Instant) -> Option<u8> {
        let states = self.0.get(&name)?;
        states.iter().rev().find(|(since, _)| *since <= when)?.1
    }
}

proptest! {
    #[test]
    fn the_newest_news_win(steps in prop::collection::vec(step(), 1..60)) {
        let began = Instant::now();
        let mut names: Table = Names::new(began);
        let (mut history, mut under_way) = (History::default(), Vec::new());
        let mut changed = [began; NAMES.len()];
        for (n, step) in (1..).zip(steps) {
            let now = began + Duration::from_micros(n);
            match step {
                Step::Outside(name, to) => history.set(name, now, to),
                Step::Ask(name) => under_way.push((name, now)),
                Step::Answer(which) if !under_way.is_empty() => {
                    let (name, asked) = under_way.swap_remove(which.index(under_way.len()));
                    let found = history.at(name, asked);
                    let found = found.map(|etag| Node::File(version(&etag.to_string())));
                    names.observe(ROOT, NAMES[name], found, asked);
                }
                Step::Answer(_) => {}
                Step::Remove(name) => {
                    history.set(name, now, None);
                    changed[name] = now;
                    names.removed(ROOT, NAMES[name], now);
                }
                Step::Write(name, to) => {
                    let body = Writers::default();
                    let ino = names.created(ROOT, NAMES[name], body.clone(), now).ino;
                    names.opened(ino, Some(&body));
                    history.set(name, now, Some(to));
                    changed[name] = now;
                    let written = version(&to.to_string());
                    names.committed(ino, &body, &written, now);
                    body.leave();
                    names.settled(ino, &body, Some(&written), now);
                    names.closed(ino);
                }
                Step::Forget(name) => {
                    if let Some(known) = names.child(ROOT, NAMES[name]) {
                        names.forgot(known.ino, u64::MAX);
                    }
                }
            }
            for (name, text) in NAMES.iter().enumerate() {
                let Some(known) = names.child(ROOT, text) else {
                    continue;
                };
                let Node::File(believed) = &known.node else {
                    panic!("{known:?}");
                };
                let was = history.at(name, known.checked).map(|etag| etag.to_string());
                prop_assert_eq!(was.as_deref(), Some(&*believed.etag), "{}", text);
                prop_assert!(known.checked >= changed[name], "older than our own change");
            }
        }
    }
}
