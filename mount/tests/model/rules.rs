//! What each step may give, and what there is then.

use std::collections::BTreeSet;

use rustix::io::Errno;

use super::body::Bytes;
use super::paths::parent;
use super::step::Step;
use super::world::{File, Node, Refusal, World, number};

/// What a step gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Bytes(Vec<u8>),
    Size(usize),
    Names(BTreeSet<String>),
    Refused(Refusal),
    /// Bytes that no step wrote so.
    Torn(String),
}

/// What a step may give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    Answer(Answer),
    /// All names of the first, and any of the second.
    Names(BTreeSet<String>, BTreeSet<String>),
}

impl Allowed {
    pub(crate) fn is(&self, answer: &Answer) -> bool {
        match (self, answer) {
            (Self::Answer(allowed), answer) => allowed == answer,
            (Self::Names(all, any), Answer::Names(names)) => {
                all.is_subset(names)
                    && names
                        .iter()
                        .all(|name| all.contains(name) || any.contains(name))
            }
            (Self::Names(..), _) => false,
        }
    }
}

pub(crate) type Outcomes = Vec<(Allowed, World)>;

pub(crate) fn done(world: World) -> (Allowed, World) {
    (Allowed::Answer(Answer::Done), world)
}

pub(crate) fn refused(errno: Errno, world: World) -> (Allowed, World) {
    result(Err(number(errno)), world)
}

pub(crate) fn result(result: Result<(), Refusal>, world: World) -> (Allowed, World) {
    let answer = result.map_or_else(Answer::Refused, |()| Answer::Done);
    (Allowed::Answer(answer), world)
}

fn bytes(bytes: &[u8], world: World) -> (Allowed, World) {
    (Allowed::Answer(Answer::Bytes(bytes.to_vec())), world)
}

/// What is at a name, as a mount may see it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen {
    /// The directory that it would be in is not there.
    Nowhere,
    Absent,
    File(usize),
}

impl World {
    /// What a step may give; `data` is what it writes, if it writes.
    pub(crate) fn step(mut self, step: &Step, data: &[u8]) -> Outcomes {
        if let Some(file) = self.file_of(step) {
            return self.on_file(step, file, data);
        }
        match step {
            Step::Open(mount, key, how) => self.open(*mount, key, *how),
            Step::ReadPath(mount, key) => self.read_path(*mount, key),
            Step::Stat(mount, key) => {
                let stat = |seen, world: Self| match seen {
                    Seen::Nowhere | Seen::Absent => refused(Errno::NOENT, world),
                    Seen::File(inode) => {
                        let size = world.content(inode).len();
                        (Allowed::Answer(Answer::Size(size)), world)
                    }
                };
                self.seen(*mount, key)
                    .into_iter()
                    .map(|(seen, world)| stat(seen, world))
                    .collect()
            }
            Step::TruncatePath(mount, key, size) => self.truncate_path(*mount, key, *size),
            Step::Put(key, length) => {
                let version: Bytes = data[..*length].into();
                self.change(|objects| drop(objects.insert((*key).to_owned(), version)));
                vec![done(self)]
            }
            Step::Delete(key) => {
                self.change(|objects| drop(objects.remove(*key)));
                vec![done(self)]
            }
            Step::Settle => vec![done(self)],
            Step::Store(mount, key, at) => {
                self.store(*mount, key, *at, super::real::letter(data[0]))
            }
            Step::While(_, step) => self.step(step, data),
            other => self.on_names(other),
        }
    }

    /// The index of the open file that a step is about.
    pub(crate) fn file_of(&self, step: &Step) -> Option<usize> {
        let which = match step {
            Step::While(_, step) => return self.file_of(step),
            Step::Write(which, ..)
            | Step::WriteTooFar(which)
            | Step::Truncate(which, _)
            | Step::Read(which)
            | Step::Fsync(which)
            | Step::CloseCopy(which)
            | Step::Close(which) => *which,
            _ => return None,
        };
        which.checked_rem(self.files.len())
    }

    pub(crate) fn content(&self, inode: usize) -> &[u8] {
        match &self.inodes[inode].node {
            Node::Version(version) => version,
            Node::Body(body) => &self.bodies[*body].bytes,
        }
    }

    fn on_file(self, step: &Step, index: usize, data: &[u8]) -> Outcomes {
        let outdated = self.outdated(step, index);
        let mut outcomes = self.on_named_file(step, index, data);
        outcomes.extend(
            outdated
                .into_iter()
                .flat_map(|world| world.on_named_file(step, index, data)),
        );
        outcomes
    }

    /// The same where a listing has shown another version than the one that is about to be changed: its
    /// name may stand for that one by now.
    fn outdated(&self, step: &Step, index: usize) -> Option<Self> {
        let file = &self.files[index];
        let changes = matches!(
            step,
            Step::Write(..) | Step::WriteTooFar(_) | Step::Truncate(..)
        );
        let inode = &self.inodes[file.inode];
        let key = inode.key.as_ref().filter(|_| changes && file.write)?;
        let Node::Version(version) = &inode.node else {
            return None;
        };
        let listed = *self.mounts[file.mount].listed.get(parent(key))?;
        (self.bucket[listed].get(key) != Some(version)).then(|| {
            let mut world = self.clone();
            let known = world.known(file.mount, key);
            if known.inode == Some(file.inode) {
                (known.since, known.inode) = (listed, None);
            }
            world
        })
    }

    fn on_named_file(mut self, step: &Step, index: usize, data: &[u8]) -> Outcomes {
        let mut file = self.files[index].clone();
        let answer = match step {
            Step::While(_, step) => return self.on_named_file(step, index, data),
            Step::Read(_) => return self.read(&file),
            Step::Close(_) => {
                let answer = self.flush(&mut file);
                self.files.remove(index);
                self.releasing.push(file);
                return vec![result(answer, self)];
            }
            Step::Fsync(_) => match file.body {
                Some(body) => {
                    let ticket = self.ticket();
                    self.commit(file.mount, file.inode, body, ticket)
                }
                None => Ok(()),
            },
            Step::CloseCopy(_) => self.flush(&mut file),
            // The kernel refuses what is not open for it.
            Step::Write(..) | Step::WriteTooFar(_) if !file.write => Err(number(Errno::BADF)),
            Step::Truncate(..) if !file.write => Err(number(Errno::INVAL)),
            step => {
                let body = self.body_of(&file);
                file.body = Some(body);
                file.closed = None;
                self.change_body(step, &file, body, data)
            }
        };
        self.files[index] = file;
        vec![result(answer, self)]
    }

    fn change_body(
        &mut self,
        step: &Step,
        file: &File,
        body: usize,
        data: &[u8],
    ) -> Result<(), Refusal> {
        let state = &mut self.bodies[body];
        if let Some(refusal) = state.broken {
            if !matches!(step, Step::Truncate(..)) {
                self.superseded(file.mount, file.inode);
            }
            return Err(refusal);
        }
        match step {
            Step::Write(_, at, length) => {
                let at = if file.append { state.bytes.len() } else { *at };
                state.write(at, &data[..*length]);
                Ok(())
            }
            // At its end there is room for it.
            Step::WriteTooFar(_) if file.append => {
                state.write(state.bytes.len(), &data[..1]);
                Ok(())
            }
            Step::Truncate(_, size) => {
                state.truncate(*size);
                Ok(())
            }
            _ => {
                state.broken = Some(number(Errno::FBIG));
                self.superseded(file.mount, file.inode);
                Err(number(Errno::FBIG))
            }
        }
    }

    /// A descriptor was closed.
    pub(crate) fn flush(&mut self, file: &mut File) -> Result<(), Refusal> {
        if !file.write {
            return Ok(());
        }
        let ticket = self.ticket();
        file.closed = Some(ticket);
        match file
            .body
            .filter(|body| !self.bodies[*body].bytes.is_empty())
        {
            Some(body) => self.commit(file.mount, file.inode, body, ticket),
            None => Ok(()),
        }
    }

    /// An open file is one version, or what is being written.
    pub(crate) fn read(mut self, file: &File) -> Outcomes {
        let key = self.inodes[file.inode].key.clone();
        let there = key.and_then(|key| self.object(&key));
        let node = file
            .body
            .map_or_else(|| self.inodes[file.inode].node.clone(), Node::Body);
        let (content, needed) = match &node {
            Node::Version(version) => (version.to_vec(), Some(version.clone())),
            Node::Body(body) => {
                let body = &self.bodies[*body];
                (body.bytes.clone(), body.needs())
            }
        };
        let mut outcomes = vec![bytes(&content, self.clone())];
        // The kernel may still have the pages.
        if let Node::Body(body) = node
            && let Some(refusal) = self.bodies[body].broken
        {
            outcomes.push(result(Err(refusal), self.clone()));
        }
        if needed.is_some_and(|needed| !needed.is_empty() && there != Some(needed)) {
            self.superseded(file.mount, file.inode);
            outcomes.push(refused(Errno::STALE, self));
        }
        outcomes
    }

    fn truncate_path(self, mount: usize, key: &str, size: usize) -> Outcomes {
        let mut outcomes = Vec::new();
        for (seen, world) in self.seen(mount, key) {
            let (answer, world) = world.truncate_seen(mount, seen, size);
            // The kernel looks once more.
            if answer == Err(number(Errno::STALE)) {
                for (seen, world) in world.seen(mount, key) {
                    let (answer, world) = world.truncate_seen(mount, seen, size);
                    outcomes.push(result(answer, world));
                }
                continue;
            }
            outcomes.push(result(answer, world));
        }
        outcomes
    }

    fn truncate_seen(
        mut self,
        mount: usize,
        seen: Seen,
        size: usize,
    ) -> (Result<(), Refusal>, Self) {
        let inode = match seen {
            Seen::Nowhere | Seen::Absent => return (Err(number(Errno::NOENT)), self),
            Seen::File(inode) => inode,
        };
        if matches!(&self.inodes[inode].node, Node::Version(version) if version.len() == size) {
            return (Ok(()), self);
        }
        let body = self.join(inode);
        self.bodies[body].writers += 1;
        let answer = if let Some(refusal) = self.bodies[body].broken {
            Err(refusal)
        } else {
            self.bodies[body].truncate(size);
            let ticket = self.ticket();
            self.commit(mount, inode, body, ticket)
        };
        self.leave(mount, inode, body);
        (answer, self)
    }

    /// What a mount may see at a key. A directory that the key is in may be missing.
    pub(crate) fn seen(self, mount: usize, key: &str) -> Vec<(Seen, Self)> {
        let mut outcomes = Vec::new();
        for (there, world) in self.directory(mount, parent(key)) {
            if there {
                outcomes.extend(world.seen_in(mount, key));
            } else {
                outcomes.push((Seen::Nowhere, world));
            }
        }
        outcomes
    }

    fn seen_in(self, mount: usize, key: &str) -> Vec<(Seen, Self)> {
        let named = self.named(mount, key);
        if let Some(inode) = named
            && matches!(self.inodes[inode].node, Node::Body(_))
        {
            return vec![(Seen::File(inode), self)];
        }
        let believed = self.believed(mount, key, |objects| objects.get(key).cloned());
        let mut outcomes = Vec::new();
        let older = self.mounts[mount]
            .known
            .get(key)
            .is_some_and(|known| known.older);
        if let Some(inode) = named.filter(|_| older && !self.fresh) {
            outcomes.push((Seen::File(inode), self.clone()));
        }
        for (since, object) in believed {
            let mut world = self.clone();
            let inode = object.map(|version| match named {
                Some(inode) if self.inodes[inode].node == Node::Version(version.clone()) => inode,
                _ => world.inode(key, Node::Version(version)),
            });
            let known = world.known(mount, key);
            (known.since, known.inode, known.older) = (since, inode, false);
            outcomes.push((inode.map_or(Seen::Absent, Seen::File), world));
        }
        outcomes
    }
}
