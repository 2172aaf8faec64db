//! One case on two mounts, and what it should have given.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::real::{Connections, Real};
use super::rules::Answer;
use super::step::{Case, Fault, Step};
use super::world::World;
use crate::support::Server;
use crate::support::bucket::Bucket;
use crate::support::http_proxy::{HttpProxy, Refusal};
use crate::support::mounter::{Mounter, dataset};
use crate::support::place::volume;

/// The size up to which an object is put whole.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Worlds that are followed. A case that leaves more open is ended: it would take minutes.
const WORLDS_MAX: usize = 3_000;

/// Where cases run, one after the other.
pub(crate) struct Stage {
    mounter: Mounter,
    connections: Connections,
    root: Bucket,
    proxy: HttpProxy,
    cache: HttpProxy,
    overlaps: bool,
    revalidate_ms: Option<u64>,
    cases: usize,
    pub(crate) steps: usize,
    /// Cases that were ended early.
    pub(crate) ended: usize,
}

impl Stage {
    pub(crate) fn new(server: &Server, test: &str, revalidate_ms: Option<u64>) -> Self {
        let root = Bucket::new(server, test);
        Self {
            mounter: Mounter::start(),
            connections: Connections::mount(),
            overlaps: root.honours_if_match_to_many(),
            root,
            proxy: HttpProxy::start(server),
            cache: liar(server),
            revalidate_ms,
            cases: 0,
            steps: 0,
            ended: 0,
        }
    }

    /// Runs a case, and says at which step it was wrong.
    pub(crate) fn check(&mut self, case: &Case) -> Result<(), String> {
        self.cases += 1;
        let bucket = self.root.below(&format!("{}/", self.cases));
        let mut dataset = dataset(bucket.origin());
        let volume = volume(&mut dataset);
        volume.revalidate_ms = self.revalidate_ms;
        volume.source_timeout_ms = 0;
        volume.origins[0].endpoint = self.proxy.endpoint();
        if case.cache {
            let mut cache = volume.origins[0].clone();
            cache.endpoint = self.cache.endpoint();
            volume.origins.insert(0, cache);
        }
        let mounts = ["one", "two"].map(|id| self.mounter.mount(id, &dataset, None));
        let real = Real::new(
            mounts,
            &self.connections,
            (&bucket, &self.proxy),
            case.scale,
        );
        let fresh = self.revalidate_ms == Some(0);
        let small = PART_BYTES / case.scale;
        let mut run = Run {
            real,
            worlds: BTreeSet::from([World::new(fresh, small)]),
            number: 0,
            overlaps: self.overlaps,
            stores: fresh && case.scale == 1,
        };
        // A step that panics leaves no child behind.
        let result = catch_unwind(AssertUnwindSafe(|| run.all(&case.steps)));
        let result = result.unwrap_or_else(|_| Err("a step panicked".to_owned()));
        self.steps += usize::from(run.number);
        self.ended += usize::from(result == Ok(Ended::Early));
        drop(run);
        for id in ["one", "two"] {
            self.mounter.stop(id);
        }
        result.map(drop)
    }
}

/// A cache that knows nothing of every third range, and of the others only the oldest version.
fn liar(server: &Server) -> HttpProxy {
    const NOTHING: Refusal = Refusal {
        status: 404,
        code: "NoSuchKey",
    };
    let cache = HttpProxy::start(server);
    let mut asked = 0_u32;
    cache.refuse(u32::MAX, NOTHING, move |_| {
        asked = asked.wrapping_add(1);
        asked.is_multiple_of(3)
    });
    cache.answer_as_at_first(|_| true);
    cache
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Early,
    AtItsEnd,
}

struct Run<'a> {
    real: Real<'a>,
    worlds: BTreeSet<World>,
    /// Of the step, from 1 on.
    number: u8,
    /// Whether steps may overlap: a server that looks and then writes loses what came in between.
    overlaps: bool,
    /// Whether mappings are stored into: a page is to be all of a file, and of its newest version.
    stores: bool,
}

impl Run<'_> {
    fn all(&mut self, steps: &[Step]) -> Result<Ended, String> {
        for step in steps {
            self.step(step)?;
            if self.worlds.len() > WORLDS_MAX {
                return Ok(Ended::Early);
            }
        }
        while self.real.open_files() > 0 {
            self.step(&Step::Close(0))?;
        }
        self.step(&Step::Settle)?;
        Ok(Ended::AtItsEnd)
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        self.number += 1;
        // A process that is started closes what it inherits.
        let stores = self.stores && self.real.open_files() == 0;
        if matches!(step, Step::Store(..)) && !stores {
            return Ok(());
        }
        let data = data_of(self.number);
        let steps = match step {
            Step::Both(one, other) if self.overlaps => {
                self.number += 1;
                vec![(&**one, data), (&**other, data_of(self.number))]
            }
            Step::Both(one, _) => vec![(&**one, data)],
            step => vec![(step, data)],
        };
        let file = |step| self.worlds.first().and_then(|world| world.file_of(step));
        let files: Vec<Option<usize>> = steps.iter().map(|(step, _)| file(step)).collect();
        let answers = match &steps[..] {
            [one, other] => {
                let taken = [
                    (one.0, files[0], &one.1[..]),
                    (other.0, files[1], &other.1[..]),
                ];
                self.real.both(taken).to_vec()
            }
            _ => vec![self.real.step(steps[0].0, files[0], &steps[0].1)],
        };
        self.narrow(step, &steps, &answers)
    }

    /// Keeps the worlds in which the steps, in any order, give these answers.
    fn narrow(
        &mut self,
        step: &Step,
        steps: &[(&Step, Vec<u8>)],
        answers: &[Answer],
    ) -> Result<(), String> {
        let settles = matches!(step, Step::Settle | Step::While(..));
        let full = matches!(step, Step::While(Fault::Full, _));
        let mut before = released(std::mem::take(&mut self.worlds));
        if settles {
            before.retain(|world| world.releasing.is_empty());
        }
        let overlaps = steps.len() == 2;
        let begun = |mut world: World| {
            world.full = full;
            if overlaps {
                for (step, _) in steps {
                    world.looks(step);
                }
            }
            world
        };
        let before: Vec<World> = before.into_iter().map(begun).collect();
        let orders: &[&[usize]] = if overlaps {
            &[&[0, 1], &[1, 0]]
        } else {
            &[&[0]]
        };
        // Of two closes the one that came last may be the first that is done.
        let closes = |(step, _): &(&Step, _)| matches!(step, Step::CloseCopy(_) | Step::Fsync(_));
        let swaps: &[bool] = if overlaps && steps.iter().all(closes) {
            &[false, true]
        } else {
            &[false]
        };
        let (mut allowed, mut after) = (Vec::new(), BTreeSet::new());
        for (order, swap) in orders
            .iter()
            .flat_map(|order| swaps.iter().map(move |swap| (order, swap)))
        {
            let mut worlds: BTreeSet<World> = before.iter().cloned().collect();
            for &index in *order {
                let (step, data) = &steps[index];
                let mut next = BTreeSet::new();
                for mut world in released(worlds) {
                    if *swap {
                        world.swap_tickets(index == order[0]);
                    }
                    for (outcome, world) in world.step(step, data) {
                        if outcome.is(&answers[index]) {
                            next.insert(world);
                        } else if !allowed.contains(&outcome) {
                            allowed.push(outcome);
                        }
                    }
                }
                worlds = next;
            }
            after.extend(worlds);
        }
        let number = self.number;
        if after.is_empty() {
            return Err(format!(
                "step {number}, {step:?}: {answers:?}, not of {allowed:?}"
            ));
        }
        let mut after = released(after);
        if settles {
            after.retain(|world| world.releasing.is_empty());
        }
        let objects = self.real.objects()?;
        let seen: BTreeSet<_> = after.iter().map(|world| world.objects().clone()).collect();
        after.retain(|world| **world.objects() == objects);
        if after.is_empty() {
            return Err(format!(
                "step {number}, {step:?}: the bucket has {objects:?}, not of {seen:?}"
            ));
        }
        let ended = |mut world: World| {
            world.full = false;
            world.looked.clear();
            world
        };
        self.worlds = after.into_iter().map(ended).collect();
        Ok(())
    }
}

/// What a step may write: of its own, so that it is seen where each byte came from.
fn data_of(number: u8) -> Vec<u8> {
    (0..4).map(|n| 1 + (number - 1) % 63 * 4 + n).collect()
}

/// These worlds, and those in which mounts have done some of what nobody waits for.
fn released(worlds: BTreeSet<World>) -> BTreeSet<World> {
    let (mut all, mut new) = (worlds.clone(), worlds);
    while !new.is_empty() {
        let mut next = BTreeSet::new();
        for world in new {
            for index in 0..world.releasing.len() {
                let mut world = world.clone();
                let file = world.releasing.remove(index);
                world.release(&file);
                if all.insert(world.clone()) {
                    next.insert(world);
                }
            }
        }
        new = next;
    }
    all
}
