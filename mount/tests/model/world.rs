//! What there is, as `docs/semantics.md` has it: what the bucket had since when, what each mount
//! believes of names, and files that are being written. Where the document leaves more than one
//! thing possible there are several worlds, and what is seen tells which of them is the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rustix::io::Errno;

use super::body::{Body, Bytes, Condition};

/// All objects by key.
pub(crate) type Objects = BTreeMap<String, Bytes>;

/// Attempts to lay what was appended behind another version: in one step nobody else replaces it.
const REBASES: usize = 3;

/// An error number.
pub(crate) type Refusal = i32;

pub(crate) const fn number(errno: Errno) -> Refusal {
    errno.raw_os_error()
}

/// What somebody refers to who has a file open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Version(Bytes),
    Body(usize),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Inode {
    /// Where it is; `None` once it was removed.
    pub(crate) key: Option<String>,
    pub(crate) node: Node,
}

/// What a mount knows of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Known {
    /// What it believes was so at this time or later.
    pub(crate) since: usize,
    pub(crate) inode: Option<usize>,
    /// The inode may be of a version that was replaced before its directory was moved.
    pub(crate) older: bool,
}

/// One mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Names {
    pub(crate) known: BTreeMap<String, Known>,
    /// When it last changed what a name stands for.
    pub(crate) changed: BTreeMap<String, usize>,
    /// Directories that stay until they are removed.
    pub(crate) kept: BTreeSet<String>,
    /// Directories that it may believe in, though they may never have been in the bucket.
    pub(crate) imagined: BTreeSet<String>,
    /// When it last listed a directory, by which it may have learned of other versions.
    pub(crate) listed: BTreeMap<String, usize>,
    /// The last change of a key, in the order of all.
    tickets: BTreeMap<String, usize>,
}

/// One open file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct File {
    pub(crate) mount: usize,
    pub(crate) inode: usize,
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) body: Option<usize>,
    /// The last close of a descriptor, unless something was written after it.
    pub(crate) closed: Option<usize>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct World {
    /// What the bucket had after each of its changes.
    pub(crate) bucket: Vec<Rc<Objects>>,
    pub(crate) mounts: [Names; 2],
    pub(crate) inodes: Vec<Inode>,
    pub(crate) bodies: Vec<Body>,
    pub(crate) files: Vec<File>,
    /// Closed, and the mount may not have done what follows from it.
    pub(crate) releasing: Vec<File>,
    ticket: usize,
    /// What is seen of others' changes is seen at once (`revalidate` 0).
    pub(crate) fresh: bool,
    /// The source has no room for anything.
    pub(crate) full: bool,
    /// Files that a mount saw when two steps began at once, and that it removes whatever becomes of them.
    pub(crate) looked: BTreeSet<(usize, String)>,
    /// A body of at most so many bytes is put whole: then a source that has no room says so before it
    /// looks what there is.
    small: usize,
}

impl World {
    pub(crate) fn new(fresh: bool, small: usize) -> Self {
        Self {
            bucket: vec![Rc::default()],
            mounts: Default::default(),
            inodes: Vec::new(),
            bodies: Vec::new(),
            files: Vec::new(),
            releasing: Vec::new(),
            ticket: 0,
            fresh,
            full: false,
            looked: BTreeSet::new(),
            small,
        }
    }

    pub(crate) fn now(&self) -> usize {
        self.bucket.len() - 1
    }

    pub(crate) fn objects(&self) -> &Rc<Objects> {
        &self.bucket[self.now()]
    }

    pub(crate) fn object(&self, key: &str) -> Option<Bytes> {
        self.objects().get(key).cloned()
    }

    /// The bucket has something else from now on.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Objects)) {
        let mut objects = Objects::clone(self.objects());
        change(&mut objects);
        self.bucket.push(Rc::new(objects));
    }

    pub(crate) fn known(&mut self, mount: usize, name: &str) -> &mut Known {
        let known = &mut self.mounts[mount].known;
        known.entry(name.to_owned()).or_default()
    }

    pub(crate) fn named(&self, mount: usize, name: &str) -> Option<usize> {
        self.mounts[mount].known.get(name)?.inode
    }

    /// A mount changed what a name stands for.
    pub(crate) fn changed(&mut self, mount: usize, name: &str, inode: Option<usize>) {
        let now = self.now();
        *self.known(mount, name) = Known {
            since: now,
            inode,
            older: false,
        };
        self.mounts[mount].changed.insert(name.to_owned(), now);
    }

    /// A mount has learned that a name is not what it thought, and asks when it is next used.
    pub(crate) fn superseded(&mut self, mount: usize, inode: usize) {
        let now = self.now();
        if let Some(key) = self.inodes[inode].key.clone() {
            let known = self.known(mount, &key);
            if known.inode == Some(inode) {
                (known.since, known.inode) = (now, None);
            }
        }
    }

    pub(crate) fn inode(&mut self, key: &str, node: Node) -> usize {
        self.inodes.push(Inode {
            key: Some(key.to_owned()),
            node,
        });
        self.inodes.len() - 1
    }

    pub(crate) fn body(&mut self, body: Body) -> usize {
        self.bodies.push(body);
        self.bodies.len() - 1
    }

    pub(crate) fn ticket(&mut self) -> usize {
        self.ticket += 1;
        self.ticket
    }

    /// The next ticket is the one after next, or the one that was left out then.
    pub(crate) fn swap_tickets(&mut self, first: bool) {
        self.ticket = if first {
            self.ticket + 1
        } else {
            self.ticket.saturating_sub(2)
        };
    }

    /// What is at a key was changed or closed with this ticket.
    pub(crate) fn closed(&mut self, mount: usize, key: &str, ticket: usize) {
        self.mounts[mount].tickets.insert(key.to_owned(), ticket);
    }

    /// Inodes through which something is written at a name, named or not, and the one that is named.
    pub(crate) fn at(&self, mount: usize, key: &str) -> BTreeSet<usize> {
        let files = self.files.iter().chain(&self.releasing);
        let open = files
            .filter(|file| file.mount == mount)
            .map(|file| file.inode);
        let here = |inode: &usize| self.inodes[*inode].key.as_deref() == Some(key);
        let written = |inode: &usize| matches!(self.inodes[*inode].node, Node::Body(_));
        let written = open.filter(|inode| here(inode) && written(inode));
        written.chain(self.named(mount, key)).collect()
    }

    /// Nothing of what was at a name is there any more.
    pub(crate) fn orphan(&mut self, mount: usize, key: &str) {
        for inode in self.at(mount, key) {
            self.inodes[inode].key = None;
        }
    }

    /// The body that writes of a handle go to.
    pub(crate) fn body_of(&mut self, file: &File) -> usize {
        if let Some(body) = file.body {
            return body;
        }
        let body = self.join(file.inode);
        self.bodies[body].writers += 1;
        body
    }

    /// The body of an inode, which begins as the version that it is.
    pub(crate) fn join(&mut self, inode: usize) -> usize {
        match self.inodes[inode].node.clone() {
            Node::Body(body) => body,
            Node::Version(version) => {
                let body = self.body(Body::of(version));
                self.inodes[inode].node = Node::Body(body);
                body
            }
        }
    }

    /// Makes the bucket have what was written, unless something that was closed later is there.
    pub(crate) fn commit(
        &mut self,
        mount: usize,
        inode: usize,
        body: usize,
        ticket: usize,
    ) -> Result<(), Refusal> {
        let Some(key) = self.inodes[inode].key.clone() else {
            return Ok(());
        };
        let last = self.mounts[mount].tickets.get(&key);
        if last.is_some_and(|last| *last > ticket) {
            return Ok(());
        }
        match self.put(&key, body) {
            Ok(false) => Ok(()),
            Ok(true) => {
                let named = self.named(mount, &key);
                let of = |inode: usize| self.inodes[inode].node == Node::Body(body);
                let own = if named.is_some_and(|named| named != inode && of(named)) {
                    named
                } else {
                    Some(inode)
                };
                self.changed(mount, &key, own);
                self.closed(mount, &key, ticket);
                Ok(())
            }
            Err(refusal) => {
                self.bodies[body].refused = true;
                self.superseded(mount, inode);
                Err(refusal)
            }
        }
    }

    /// Whether it had to be put.
    pub(crate) fn put(&mut self, key: &str, body: usize) -> Result<bool, Refusal> {
        if let Some(refusal) = self.bodies[body].broken {
            return Err(refusal);
        }
        if !self.bodies[body].changed {
            return Ok(false);
        }
        for _ in 0..REBASES {
            let now = self.object(key);
            let new = &mut self.bodies[body];
            match new.condition() {
                Condition::IfStill(version) if now.as_ref() != Some(&version) => {
                    if !new.is_append() {
                        return Err(number(Errno::STALE));
                    }
                    new.rebase(now);
                }
                Condition::IfNew
                    if now.is_some() && !(self.full && new.bytes.len() <= self.small) =>
                {
                    return Err(number(Errno::EXIST));
                }
                _ if self.full => return Err(number(Errno::NOSPC)),
                _ => {
                    let version = new.committed();
                    self.change(|objects| drop(objects.insert(key.to_owned(), version)));
                    return Ok(true);
                }
            }
        }
        Err(number(Errno::STALE))
    }

    /// The last descriptor of a file was closed, and the mount does what follows from it.
    pub(crate) fn release(&mut self, file: &File) {
        let Some(body) = file.body.filter(|_| file.write) else {
            return;
        };
        let state = &self.bodies[body];
        let failed = state.refused || state.broken.is_some();
        if !failed && (!state.bytes.is_empty() || state.writers == 1) {
            let ticket = file.closed.unwrap_or_else(|| self.ticket());
            // Nobody waits for it: it is in the log.
            let _ = self.commit(file.mount, file.inode, body, ticket);
        }
        self.leave(file.mount, file.inode, body);
    }

    pub(crate) fn leave(&mut self, mount: usize, inode: usize, body: usize) {
        let state = &mut self.bodies[body];
        state.writers -= 1;
        if state.writers > 0 || self.inodes[inode].node != Node::Body(body) {
            return;
        }
        match self.bodies[body].version() {
            Some(version) => self.inodes[inode].node = Node::Version(version),
            None => {
                if let Some(key) = self.inodes[inode].key.clone()
                    && self.named(mount, &key) == Some(inode)
                {
                    self.known(mount, &key).inode = None;
                }
            }
        }
    }
}
