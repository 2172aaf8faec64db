//! What is done to two mounts of one bucket, and by others to the bucket.

use std::fmt;

use proptest::prelude::*;

/// Files that steps name; the directories of some are there, or not.
pub(crate) const KEYS: [&str; 6] = ["a", "b", "d/a", "d/b", "e/a", "e/b"];

pub(crate) const DIRECTORIES: [&str; 2] = ["d", "e"];

/// How a file is opened; always for reading, too.
#[derive(Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "the flags of open(2)")]
pub(crate) struct How {
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) create: bool,
    pub(crate) truncate: bool,
    pub(crate) exclusive: bool,
}

pub(crate) const READ: How = How {
    write: false,
    append: false,
    create: false,
    truncate: false,
    exclusive: false,
};

/// What the source does to the requests that change it, while one step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It has no room for anything.
    Full,
    /// It is too busy for the first.
    Busy,
    /// It ends the connection instead of doing the first.
    Cut,
    /// It does the first, and its answer is lost.
    Lost,
}

/// Files are named by the mount (0 or 1) and a key, open ones by an index into all that are.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Open(usize, &'static str, How),
    Write(usize, usize, usize),
    WriteTooFar(usize),
    Truncate(usize, usize),
    Read(usize),
    Fsync(usize),
    /// Closes a copy of a descriptor.
    CloseCopy(usize),
    Close(usize),
    ReadPath(usize, &'static str),
    Stat(usize, &'static str),
    TruncatePath(usize, &'static str, usize),
    Unlink(usize, &'static str),
    Rename(usize, &'static str, &'static str),
    MakeDirectory(usize, &'static str),
    RemoveDirectory(usize, &'static str),
    RenameDirectory(usize, &'static str, &'static str),
    /// `""` is the mount itself.
    List(usize, &'static str),
    Put(&'static str, usize),
    Delete(&'static str),
    /// Waits until the mounts have done what nobody waits for.
    Settle,
    /// The step, and what follows from it, while the source fails.
    While(Fault, Box<Step>),
    /// A byte is stored into a shared mapping of a file, by a process of its own.
    Store(usize, &'static str, usize),
    /// Two steps at once.
    Both(Box<Step>, Box<Step>),
}

/// A case: one real byte or several stand for a byte of the model, and the steps.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) scale: usize,
    /// A cache that lies stands before the source.
    pub(crate) cache: bool,
    pub(crate) steps: Vec<Step>,
}

impl fmt::Debug for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [
            ("WRITE", self.write),
            ("APPEND", self.append),
            ("CREATE", self.create),
            ("TRUNCATE", self.truncate),
            ("EXCLUSIVE", self.exclusive),
        ];
        let set = flags.iter().filter(|(_, set)| *set);
        let set: Vec<&str> = set.map(|(name, _)| *name).collect();
        write!(f, "READ {}", set.join(" "))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "scale {}, a cache: {}", self.scale, self.cache)?;
        for (step, number) in self.steps.iter().zip(1..) {
            writeln!(f, "{number:3} {step:?}")?;
        }
        Ok(())
    }
}

/// Most steps of a case: enough for a file to be opened, changed by all three, and closed, twice.
const STEPS_MAX: usize = 40;

/// Open files are chosen among by a number below this, modulo how many there are.
const FILES: usize = 12;

/// Bytes of one write, and bytes within which it begins.
const WRITE_MAX: usize = 4;
const REACH: usize = 9;

/// Real bytes for one of the model: a page with a rest, and a third of a part of an upload.
const PAGE: usize = 5_000;
const THIRD: usize = 2_800_000;

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let scale = prop_oneof![12 => Just(1), 6 => Just(PAGE), 1 => Just(THIRD)];
    let steps = prop::collection::vec(step(), 4..STEPS_MAX);
    (scale, any::<bool>(), steps).prop_map(|(scale, cache, steps)| Case {
        scale,
        cache,
        steps,
    })
}

fn mount() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0_usize), 2 => Just(1)]
}

/// Most steps are about one name, so that they meet.
fn key() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just("a"), 2 => Just("b"), 2 => Just("d/a"), 1 => Just("d/b"), 1 => Just("e/a")]
}

fn directory() -> impl Strategy<Value = &'static str> {
    prop_oneof![2 => Just("d"), 1 => Just("e")]
}

fn how() -> impl Strategy<Value = How> {
    let write = How {
        write: true,
        ..READ
    };
    let create = How {
        create: true,
        ..write
    };
    prop_oneof![
        2 => Just(READ),
        3 => Just(write),
        2 => Just(How { append: true, ..write }),
        2 => Just(create),
        3 => Just(How { append: true, ..create }),
        3 => Just(How { truncate: true, ..create }),
        1 => Just(How { truncate: true, ..write }),
        1 => Just(How { exclusive: true, ..create }),
    ]
}

fn open_file() -> impl Strategy<Value = Step> {
    let index = || 0..FILES;
    prop_oneof![
        8 => (index(), 0..REACH, 1..=WRITE_MAX).prop_map(|(file, at, length)| Step::Write(file, at, length)),
        1 => index().prop_map(Step::WriteTooFar),
        2 => (index(), 0..REACH).prop_map(|(file, size)| Step::Truncate(file, size)),
        4 => index().prop_map(Step::Read),
        2 => index().prop_map(Step::Fsync),
        1 => index().prop_map(Step::CloseCopy),
        6 => index().prop_map(Step::Close),
    ]
}

fn names() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (mount(), key()).prop_map(|(mount, key)| Step::ReadPath(mount, key)),
        4 => (mount(), key()).prop_map(|(mount, key)| Step::Stat(mount, key)),
        1 => (mount(), key(), 0..REACH).prop_map(|(mount, key, size)| Step::TruncatePath(mount, key, size)),
        3 => (mount(), key()).prop_map(|(mount, key)| Step::Unlink(mount, key)),
        3 => (mount(), key(), key())
            .prop_filter("two names", |(_, from, to)| from != to)
            .prop_map(|(mount, from, to)| Step::Rename(mount, from, to)),
        2 => (mount(), directory()).prop_map(|(mount, name)| Step::MakeDirectory(mount, name)),
        1 => (mount(), directory()).prop_map(|(mount, name)| Step::RemoveDirectory(mount, name)),
        1 => (mount(), any::<bool>()).prop_map(|(mount, forth)| {
            let (from, to) = if forth { ("d", "e") } else { ("e", "d") };
            Step::RenameDirectory(mount, from, to)
        }),
        4 => (mount(), prop_oneof![Just(""), Just("d"), Just("e")])
            .prop_map(|(mount, name)| Step::List(mount, name)),
    ]
}

fn faulty() -> impl Strategy<Value = Step> {
    let index = || 0..FILES;
    let fault = prop_oneof![
        3 => Just(Fault::Full),
        1 => Just(Fault::Busy),
        1 => Just(Fault::Cut),
        2 => Just(Fault::Lost),
    ];
    let step = prop_oneof![
        4 => index().prop_map(Step::Close),
        2 => index().prop_map(Step::Fsync),
        1 => (mount(), key(), 0..REACH).prop_map(|(mount, key, size)| Step::TruncatePath(mount, key, size)),
    ];
    (fault, step).prop_map(|(fault, step)| Step::While(fault, Box::new(step)))
}

/// Those of which each is one change, or one look, for everybody. A truncation is none: it looks, and
/// what comes before its put is a conflict, which none of two orders has.
fn whole() -> impl Strategy<Value = Step> {
    let index = || 0..FILES;
    prop_oneof![
        6 => index().prop_map(Step::CloseCopy),
        3 => index().prop_map(Step::Fsync),
        2 => (key(), 0..WRITE_MAX).prop_map(|(key, length)| Step::Put(key, length)),
        1 => key().prop_map(Step::Delete),
        2 => (mount(), key()).prop_map(|(mount, key)| Step::Unlink(mount, key)),
        2 => (mount(), key()).prop_map(|(mount, key)| Step::Stat(mount, key)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let both = (whole(), whole());
    prop_oneof![
        12 => (mount(), key(), how()).prop_map(|(mount, key, how)| Step::Open(mount, key, how)),
        22 => open_file(),
        18 => names(),
        5 => (key(), 0..WRITE_MAX).prop_map(|(key, length)| Step::Put(key, length)),
        2 => key().prop_map(Step::Delete),
        6 => Just(Step::Settle),
        3 => faulty(),
        1 => (mount(), key(), 0..REACH).prop_map(|(mount, key, at)| Step::Store(mount, key, at)),
        4 => both.prop_map(|(one, other)| Step::Both(Box::new(one), Box::new(other))),
    ]
}
