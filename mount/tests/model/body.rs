//! The bytes of a file that is being written, and what they say of the object they may replace.

use std::rc::Rc;

/// An object's bytes. Every write of a case has bytes of its own, so equal bytes are one version.
pub(crate) type Bytes = Rc<[u8]>;

/// The version that a file began as, or was last committed as.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Base {
    pub(crate) version: Bytes,
    /// Bytes before this are still its; what follows was cut off.
    end: usize,
}

/// On what a commit may replace the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Always,
    IfNew,
    IfStill(Bytes),
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is true or not, whatever the others are"
)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// Which of them were written here, and can be read without the base.
    here: Vec<bool>,
    /// Which of them are not the base's.
    new: Vec<bool>,
    base: Option<Base>,
    pub(crate) changed: bool,
    /// It began as a version, and what is appended belongs behind that.
    joined: bool,
    /// Since then its length was set, or something was written behind its end.
    sized: bool,
    pub(crate) exclusive: bool,
    /// A write failed: nothing of it appears.
    pub(crate) broken: Option<i32>,
    /// A program was told that the last of it could not be written.
    pub(crate) refused: bool,
    /// Handles that can write to it.
    pub(crate) writers: u32,
}

impl Body {
    /// A file that begins empty.
    pub(crate) fn new(exclusive: bool) -> Self {
        Self {
            bytes: Vec::new(),
            here: Vec::new(),
            new: Vec::new(),
            base: None,
            changed: true,
            joined: false,
            sized: false,
            exclusive,
            broken: None,
            refused: false,
            writers: 0,
        }
    }

    /// A file that begins as a version.
    pub(crate) fn of(version: Bytes) -> Self {
        Self {
            bytes: version.to_vec(),
            here: vec![false; version.len()],
            new: vec![false; version.len()],
            base: Some(Base {
                end: version.len(),
                version,
            }),
            changed: false,
            joined: true,
            ..Self::new(false)
        }
    }

    pub(crate) fn write(&mut self, at: usize, data: &[u8]) {
        let end = at + data.len();
        self.sized |= at > self.bytes.len();
        self.resize(self.bytes.len().max(end));
        self.bytes[at..end].copy_from_slice(data);
        self.here[at..end].fill(true);
        self.new[at..end].fill(true);
        (self.changed, self.refused) = (true, false);
    }

    /// Stores a byte by a page, which holds all of the file.
    pub(crate) fn store(&mut self, at: usize, byte: u8) {
        let mut page = self.bytes.clone();
        page[at] = byte;
        self.write(0, &page);
    }

    pub(crate) fn truncate(&mut self, size: usize) {
        let before = self.bytes.len();
        if size == before {
            return;
        }
        self.sized = true;
        self.resize(size);
        if let Some(base) = &mut self.base {
            base.end = base.end.min(size);
        }
        (self.changed, self.refused) = (true, false);
    }

    fn resize(&mut self, size: usize) {
        self.bytes.resize(size, 0);
        self.here.resize(size, false);
        self.new.resize(size, true);
    }

    /// The version that the bucket has of it, if it has all.
    pub(crate) fn version(&self) -> Option<Bytes> {
        let base = self.base.as_ref().filter(|_| !self.changed)?;
        Some(base.version.clone())
    }

    /// The version that bytes of it would have to be read from.
    pub(crate) fn needs(&self) -> Option<Bytes> {
        let base = self.base.as_ref()?;
        let missing = self.here.iter().take(base.end).any(|here| !here);
        missing.then(|| base.version.clone())
    }

    /// Whether any byte of it is an older version's.
    fn holds_base(&self) -> bool {
        let end = self.base.as_ref().map_or(0, |base| base.end);
        self.new.iter().take(end).any(|new| !new)
    }

    /// Whether all that was done to the version is appending.
    pub(crate) fn is_append(&self) -> bool {
        !self.sized && self.extends_base()
    }

    /// Whether all that was done lies behind the version.
    fn extends_base(&self) -> bool {
        self.base.as_ref().map_or(self.joined, |base| {
            let whole = base.end == base.version.len();
            whole && !self.new.iter().take(base.end).any(|new| *new)
        })
    }

    pub(crate) fn condition(&self) -> Condition {
        match &self.base {
            Some(base) if self.holds_base() || self.is_append() => {
                Condition::IfStill(base.version.clone())
            }
            None if self.exclusive => Condition::IfNew,
            _ => Condition::Always,
        }
    }

    /// Lays what was appended behind another version, or behind nothing.
    pub(crate) fn rebase(&mut self, now: Option<Bytes>) {
        let before = self.base.as_ref().map_or(0, |base| base.end);
        let start = now.as_ref().map_or(0, |now| now.len());
        let head = now.as_deref().unwrap_or_default();
        self.bytes = [head, &self.bytes[before..]].concat();
        self.here = [&vec![false; start][..], &self.here[before..]].concat();
        self.new = [&vec![false; start][..], &self.new[before..]].concat();
        self.base = now.map(|version| Base {
            end: start,
            version,
        });
    }

    pub(crate) fn committed(&mut self) -> Bytes {
        let version: Bytes = self.bytes.as_slice().into();
        self.base = Some(Base {
            end: version.len(),
            version: version.clone(),
        });
        self.new.fill(false);
        (self.changed, self.sized) = (false, false);
        (self.exclusive, self.refused) = (false, false);
        version
    }
}
