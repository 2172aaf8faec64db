//! What steps do with names: listing, removing and moving.

use std::collections::BTreeSet;
use std::rc::Rc;

use rustix::io::Errno;

use super::body::Bytes;
use super::rules::{Allowed, Answer, Outcomes, Seen, done, refused};
use super::step::{DIRECTORIES, KEYS, Step};
use super::world::{Node, Objects, Refusal, World, number};

/// The directory that a key is in; `""` is the mount.
pub(crate) fn parent(key: &str) -> &str {
    key.split_once('/').map_or("", |(directory, _)| directory)
}

/// The key of what makes a directory one where nothing lies in it.
fn marker(directory: &str) -> String {
    format!("{directory}/")
}

/// Whether anything lies in a directory.
fn is_there(objects: &Objects, directory: &str) -> bool {
    let prefix = marker(directory);
    objects.keys().any(|key| key.starts_with(&prefix))
}

fn last(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or_default()
}

impl World {
    /// What a mount may believe of a name, and since when at the earliest.
    pub(crate) fn believed<T: PartialEq>(
        &self,
        mount: usize,
        name: &str,
        look: impl Fn(&Objects) -> T,
    ) -> Vec<(usize, T)> {
        let now = self.now();
        let since = self.mounts[mount]
            .known
            .get(name)
            .map_or(0, |known| known.since);
        let since = if self.fresh { now } else { since };
        let mut believed: Vec<(usize, T)> = Vec::new();
        for time in since..=now {
            let state = look(&self.bucket[time]);
            if believed.iter().all(|(_, other)| *other != state) {
                believed.push((time, state));
            }
        }
        believed
    }

    /// Whether a mount may see a directory.
    pub(crate) fn directory(mut self, mount: usize, name: &str) -> Vec<(bool, Self)> {
        if name.is_empty() {
            return vec![(true, self)];
        }
        if self.mounts[mount].kept.contains(name) {
            return vec![(true, self)];
        }
        let mut believed = self.believed(mount, name, |objects| is_there(objects, name));
        // Some servers list a directory for a while after its last object has gone.
        let imagined = self.was_there(name) || self.mounts[mount].imagined.contains(name);
        if imagined && !self.fresh && believed.iter().all(|(_, there)| !there) {
            believed.push((self.now(), true));
        }
        if let [(since, there)] = believed[..] {
            self.known(mount, name).since = since;
            return vec![(there, self)];
        }
        let world = |(since, there)| {
            let mut world = self.clone();
            world.known(mount, name).since = since;
            (there, world)
        };
        believed.into_iter().map(world).collect()
    }

    pub(crate) fn on_names(self, step: &Step) -> Outcomes {
        match step {
            Step::Unlink(mount, key) => self.unlink(*mount, key),
            Step::Rename(mount, from, to) => self.rename(*mount, from, to),
            Step::MakeDirectory(mount, name) => {
                let make = |(there, mut world): (bool, Self)| {
                    if there {
                        return refused(Errno::EXIST, world);
                    }
                    world.change(|objects| drop(objects.insert(marker(name), Bytes::from([]))));
                    world.mounts[*mount].kept.remove(*name);
                    world.changed(*mount, name, None);
                    done(world)
                };
                self.directory(*mount, name).into_iter().map(make).collect()
            }
            Step::RemoveDirectory(mount, name) => {
                let remove = |(there, world): (bool, Self)| {
                    if there {
                        world.remove_directory(*mount, name)
                    } else {
                        vec![refused(Errno::NOENT, world)]
                    }
                };
                self.directory(*mount, name)
                    .into_iter()
                    .flat_map(remove)
                    .collect()
            }
            Step::RenameDirectory(mount, from, to) => self.rename_directory(*mount, from, to),
            Step::List(mount, name) => {
                let list = |(there, mut world): (bool, Self)| {
                    if there {
                        let now = world.now();
                        let listed = &mut world.mounts[*mount].listed;
                        listed.insert((*name).to_owned(), now);
                        (world.names_in(*mount, name), world)
                    } else {
                        refused(Errno::NOENT, world)
                    }
                };
                self.directory(*mount, name).into_iter().map(list).collect()
            }
            // About an open file, and none is.
            _ => vec![done(self)],
        }
    }

    fn unlink(self, mount: usize, key: &str) -> Outcomes {
        let unlink = |(seen, world): (Seen, Self)| match seen {
            Seen::Nowhere | Seen::Absent => refused(Errno::NOENT, world),
            Seen::File(_) => done(world.unlinked(mount, key)),
        };
        let looked = self.looked.contains(&(mount, key.to_owned()));
        let looked = looked.then(|| self.clone());
        let mut outcomes: Outcomes = self.seen(mount, key).into_iter().map(unlink).collect();
        outcomes.extend(looked.map(|world| done(world.unlinked(mount, key))));
        outcomes
    }

    /// Notes, before two steps that are taken at once, whether this one has seen what it removes: it looks
    /// first, and then removes whatever is there.
    pub(crate) fn looks(&mut self, step: &Step) {
        if let Step::Unlink(mount, key) = step {
            let mut seen = self.clone().seen(*mount, key).into_iter();
            if seen.any(|(seen, _)| matches!(seen, Seen::File(_))) {
                self.looked.insert((*mount, (*key).to_owned()));
            }
        }
    }

    fn unlinked(mut self, mount: usize, key: &str) -> Self {
        self.change(|objects| drop(objects.remove(key)));
        // The kernel removes one after the other within a mount.
        self.looked.remove(&(mount, key.to_owned()));
        self.orphan(mount, key);
        self.changed(mount, key, None);
        let ticket = self.ticket();
        self.closed(mount, key, ticket);
        self.keep(mount, parent(key));
        self
    }

    /// A directory stays until it is removed, though its last object may have gone.
    fn keep(&mut self, mount: usize, directory: &str) {
        if !directory.is_empty() {
            self.mounts[mount].kept.insert(directory.to_owned());
        }
    }

    /// Whether anything ever lay in a directory.
    fn was_there(&self, directory: &str) -> bool {
        self.bucket
            .iter()
            .any(|objects| is_there(objects, directory))
    }

    /// Whether something is in a directory but what marks it.
    fn has_any(&self, mount: usize, name: &str) -> bool {
        let prefix = marker(name);
        let mut objects = self.objects().keys();
        let written = KEYS.iter().filter(|key| key.starts_with(&prefix));
        let mut written = written.filter_map(|key| self.named(mount, key));
        objects.any(|key| key.starts_with(&prefix) && *key != prefix)
            || written.any(|inode| matches!(self.inodes[inode].node, Node::Body(_)))
    }

    fn remove_directory(self, mount: usize, name: &str) -> Outcomes {
        if self.has_any(mount, name) {
            return vec![refused(Errno::NOTEMPTY, self)];
        }
        let remove = |mut world: Self| {
            world.change(|objects| drop(objects.remove(&marker(name))));
            world.mounts[mount].kept.remove(name);
            world.changed(mount, name, None);
            done(world)
        };
        self.without_below(mount, name).map(remove).collect()
    }

    /// What others removed from a directory loses its name with that, for who has it open. It keeps it
    /// if the mount has seen that the directory went, and came again.
    fn without_below(self, mount: usize, directory: &str) -> impl Iterator<Item = Self> {
        let prefix = marker(directory);
        let below = |inode: &usize| {
            let key = self.inodes[*inode].key.as_deref();
            key.is_some_and(|key| key.starts_with(&prefix)) && self.is_of(mount, *inode)
        };
        let below: Vec<usize> = (0..self.inodes.len()).filter(below).collect();
        let without = (!below.is_empty()).then(|| {
            let mut world = self.clone();
            for inode in below {
                let key = world.inodes[inode].key.take().unwrap_or_default();
                if world.named(mount, &key) == Some(inode) {
                    world.known(mount, &key).inode = None;
                }
            }
            world
        });
        std::iter::once(self).chain(without)
    }

    fn names_in(&self, mount: usize, directory: &str) -> Allowed {
        let (mut all, mut any) = (BTreeSet::new(), BTreeSet::new());
        let judge = |(all, any): (&mut BTreeSet<_>, &mut BTreeSet<_>),
                     name: &str,
                     ours: bool,
                     look: &dyn Fn(&Objects) -> bool| {
            let changed = self.mounts[mount]
                .changed
                .get(name)
                .copied()
                .unwrap_or_default();
            let since = if self.fresh { self.now() } else { changed };
            let times = self.bucket[since..].iter();
            let (there, not): (Vec<bool>, Vec<bool>) =
                times.map(|objects| look(objects)).partition(|there| *there);
            let name = last(name).to_owned();
            if ours || not.is_empty() {
                all.insert(name);
            } else if !there.is_empty() {
                any.insert(name);
            }
        };
        for key in KEYS.iter().filter(|key| parent(key) == directory) {
            let inode = self.named(mount, key);
            let written = |inode: usize| matches!(self.inodes[inode].node, Node::Body(_));
            judge(
                (&mut all, &mut any),
                key,
                inode.is_some_and(written),
                &|objects| objects.contains_key(*key),
            );
        }
        for name in DIRECTORIES.iter().filter(|_| directory.is_empty()) {
            let kept = self.mounts[mount].kept.contains(*name);
            judge((&mut all, &mut any), name, kept, &|objects| {
                is_there(objects, name)
            });
            if self.was_there(name) || self.mounts[mount].imagined.contains(*name) {
                any.insert((*name).to_owned());
            }
        }
        Allowed::Names(all, any)
    }

    fn rename(self, mount: usize, from: &str, to: &str) -> Outcomes {
        let mut outcomes = Vec::new();
        for (seen, world) in self.seen(mount, from) {
            if !matches!(seen, Seen::File(_)) {
                outcomes.push(refused(Errno::NOENT, world));
                continue;
            }
            for (there, world) in world.directory(mount, parent(to)) {
                if !there {
                    outcomes.push(refused(Errno::NOENT, world));
                    continue;
                }
                for (_, world) in world.seen(mount, to) {
                    let (answer, world) = world.move_file(mount, from, to);
                    let answer = answer.map_or_else(Answer::Refused, |()| Answer::Done);
                    outcomes.push((Allowed::Answer(answer), world));
                }
            }
        }
        outcomes
    }

    /// What the source has by now is moved, or what is being written.
    fn move_file(mut self, mount: usize, from: &str, to: &str) -> (Result<(), Refusal>, Self) {
        let named = self.named(mount, from);
        let body = named.and_then(|inode| match self.inodes[inode].node {
            Node::Body(body) => Some(body),
            Node::Version(_) => None,
        });
        let moved = match body {
            None => self.object(from),
            Some(body) => match self.move_written(from, body) {
                Ok(moved) => moved,
                Err(refusal) => return (Err(refusal), self),
            },
        };
        if moved.is_none() && body.is_none() {
            return (Err(number(Errno::NOENT)), self);
        }
        self.change(|objects| {
            objects.remove(from);
            if let Some(version) = &moved {
                objects.insert(to.to_owned(), version.clone());
            }
        });
        self.orphan(mount, to);
        let mut inodes = self.at(mount, from);
        inodes.extend(named);
        for inode in inodes {
            self.inodes[inode].key = Some(to.to_owned());
        }
        // Whoever has an older version open does not go on with another.
        let same = named.filter(|inode| match (&self.inodes[*inode].node, &moved) {
            (Node::Version(known), Some(moved)) => known == moved,
            _ => true,
        });
        self.changed(mount, from, None);
        self.changed(mount, to, same);
        for key in [from, to] {
            let ticket = self.ticket();
            self.closed(mount, key, ticket);
        }
        self.keep(mount, parent(from));
        (Ok(()), self)
    }

    /// The version that moves with a body, if one has to.
    fn move_written(&mut self, from: &str, body: usize) -> Result<Option<Bytes>, Refusal> {
        let mut version = self.bodies[body].version();
        if version.is_none() && self.bodies[body].needs().is_some() {
            let put = self.put(from, body);
            self.bodies[body].refused = put.is_err();
            put?;
            version = self.bodies[body].version();
        }
        if version.is_some() && version != self.object(from) {
            let gone = self.object(from).is_none();
            return Err(number(if gone { Errno::NOENT } else { Errno::STALE }));
        }
        Ok(version)
    }

    fn rename_directory(self, mount: usize, from: &str, to: &str) -> Outcomes {
        let mut outcomes = Vec::new();
        for (there, world) in self.directory(mount, from) {
            if !there {
                outcomes.push(refused(Errno::NOENT, world));
                continue;
            }
            for (_, mut world) in world.directory(mount, to) {
                let lies_in_it = is_there(world.objects(), from);
                if !lies_in_it && !world.mounts[mount].kept.contains(from) {
                    outcomes.push(refused(Errno::NOENT, world.clone()));
                    if world.fresh {
                        continue;
                    }
                }
                // What a mount only believes in is as well moved.
                if !lies_in_it && !world.fresh {
                    world.mounts[mount].imagined.insert(to.to_owned());
                }
                outcomes.extend(world.move_directory(mount, from, to));
            }
        }
        outcomes
    }

    fn move_directory(self, mount: usize, from: &str, to: &str) -> Outcomes {
        let target = is_there(self.objects(), to) || self.mounts[mount].kept.contains(to);
        if target && self.has_any(mount, to) {
            return vec![refused(Errno::NOTEMPTY, self)];
        }
        let worlds = self.without_below(mount, to);
        worlds
            .map(|world| world.move_all(mount, from, to))
            .collect()
    }

    fn move_all(mut self, mount: usize, from: &str, to: &str) -> (Allowed, Self) {
        let (before, after) = (marker(from), marker(to));
        let below: Vec<usize> = (0..self.inodes.len())
            .filter(|inode| {
                let key = self.inodes[*inode].key.as_deref();
                key.is_some_and(|key| key.starts_with(&before)) && self.is_of(mount, *inode)
            })
            .collect();
        let mut stale = 0;
        for inode in &below {
            let key = self.inodes[*inode].key.clone().unwrap_or_default();
            if let Node::Body(body) = self.inodes[*inode].node
                && !self.bodies[body].refused
                && self.bodies[body].broken.is_none()
                && self.bodies[body].needs().is_some()
                && let Err(refusal) = self.put(&key, body)
            {
                self.bodies[body].refused = true;
                // The kernel tries once more, and what was refused stays behind.
                stale += 1;
                if refusal != number(Errno::STALE) || stale > 1 {
                    return (Allowed::Answer(Answer::Refused(refusal)), self);
                }
            }
        }
        let moved = Objects::clone(self.objects()).into_iter();
        let moved = moved.map(|(key, version)| match key.strip_prefix(&before) {
            Some(rest) => (format!("{after}{rest}"), version),
            None => (key, version),
        });
        let moved = moved.collect();
        self.bucket.push(Rc::new(moved));
        for inode in below {
            let key = self.inodes[inode].key.clone().unwrap_or_default();
            let rest = key.strip_prefix(&before).unwrap_or_default();
            let (new, named) = (
                format!("{after}{rest}"),
                self.named(mount, &key) == Some(inode),
            );
            self.inodes[inode].key = Some(new.clone());
            if named {
                self.changed(mount, &new, Some(inode));
                let older = matches!(&self.inodes[inode].node, Node::Version(version) if self.object(&new).as_ref() != Some(version));
                self.known(mount, &new).older = older;
            }
        }
        for key in KEYS {
            if key.starts_with(&before) {
                self.changed(mount, key, None);
            } else if key.starts_with(&after) {
                let inode = self.named(mount, key);
                self.changed(mount, key, inode);
            }
        }
        self.changed(mount, from, None);
        self.changed(mount, to, None);
        let names = &mut self.mounts[mount];
        names.kept.remove(to);
        if names.kept.remove(from) {
            names.kept.insert(to.to_owned());
        }
        done(self)
    }

    /// Whether an inode is one of a mount's.
    fn is_of(&self, mount: usize, inode: usize) -> bool {
        let mut files = self.files.iter().chain(&self.releasing);
        let mut named = self.mounts[mount].known.values();
        files.any(|file| file.mount == mount && file.inode == inode)
            || named.any(|known| known.inode == Some(inode))
    }
}
