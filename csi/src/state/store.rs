//! One file a record, replaced as a whole.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use prost::Message;
use sha2::{Digest, Sha256};

/// The file that a record is written to before it takes its name.
const DRAFT: &str = ".draft";

/// A record could not be written, read or removed.
#[derive(Debug, thiserror::Error)]
#[error("the state directory: {}: {source}", path.display())]
pub struct StateError {
    path: PathBuf,
    source: io::Error,
}

/// What a record is of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A dataset's newest configuration.
    Dataset,
    /// A mount below `mounts/`.
    Mount,
    /// A bind at a pod's target.
    Target,
    /// The address rules.
    Network,
    /// The mounter revision that takes new mounts.
    Wanted,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Dataset,
        Self::Mount,
        Self::Target,
        Self::Network,
        Self::Wanted,
    ];

    fn directory(self) -> &'static str {
        match self {
            Self::Dataset => "datasets",
            Self::Mount => "mounts",
            Self::Target => "targets",
            Self::Network => "network",
            Self::Wanted => "wanted",
        }
    }
}

/// The directory of the records. The caller serialises the writes.
#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
}

impl Store {
    pub(super) fn open(directory: &Path) -> Result<Self, StateError> {
        for kind in Kind::ALL {
            let path = directory.join(kind.directory());
            let mut builder = fs::DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(&path);
            made.map_err(|source| StateError { path, source })?;
        }
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    /// Replaces a record. On a tmpfs a rename is enough: there is no disk to be behind.
    pub(super) fn put(
        &self,
        kind: Kind,
        name: &str,
        record: &impl Message,
    ) -> Result<(), StateError> {
        let path = self.path(kind, name);
        let draft = self.directory.join(kind.directory()).join(DRAFT);
        let write = || {
            let mut options = fs::OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&draft)?.write_all(&record.encode_to_vec())?;
            fs::rename(&draft, &path)
        };
        write().map_err(|source| StateError { path, source })
    }

    pub(super) fn remove(&self, kind: Kind, name: &str) -> Result<(), StateError> {
        let path = self.path(kind, name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StateError { path, source })
            }
            _ => Ok(()),
        }
    }

    /// All records of a kind. One that cannot be read is removed: whatever it was about shows up
    /// as a mount without a record and is cleared like one.
    pub(super) fn load<M: Message + Default>(&self, kind: Kind) -> Result<Vec<M>, StateError> {
        let directory = self.directory.join(kind.directory());
        let failed = |source| StateError {
            path: directory.clone(),
            source,
        };
        let mut records = Vec::new();
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let bytes = fs::read(&path).map_err(failed)?;
            match M::decode(bytes.as_slice()) {
                Ok(record) if !path.ends_with(DRAFT) => records.push(record),
                _ => {
                    tracing::warn!(path = %path.display(), "removing an unreadable record");
                    fs::remove_file(&path).map_err(failed)?;
                }
            }
        }
        Ok(records)
    }

    /// Targets are longer than a file name may be, so the name is a digest; the record says whose.
    fn path(&self, kind: Kind, name: &str) -> PathBuf {
        let digest = hex::encode(Sha256::digest(name));
        self.directory.join(kind.directory()).join(digest)
    }
}
