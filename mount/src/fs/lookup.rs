//! Looking names up.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fuser::Errno;

use super::body::Body;
use super::core::{Core, Entry, Node};
use super::key::Key;
use super::name;
use super::names::Observed;

/// Questions about one name, if changes of it keep overtaking the answers.
const QUESTIONS_MAX: u32 = 5;

/// The answer to a look-up.
#[derive(Debug)]
pub(crate) enum Looked {
    Found(Entry),
    /// Nothing there, which counts for so long.
    Absent(Duration),
}

impl Core {
    /// Finds what a name stands for; the kernel then refers to it until it forgets.
    pub(crate) async fn lookup(&self, parent: u64, name: &OsStr) -> Result<Looked, Errno> {
        let name = match name::component(name) {
            Ok(name) => name,
            // No key has such a name, so nothing of that name exists.
            Err(Errno::EILSEQ) => return Ok(Looked::Absent(Duration::ZERO)),
            Err(errno) => return Err(errno),
        };
        let revalidate = self.settings().revalidate;
        let known = self.names().known(parent, name, revalidate);
        if let Some(observed) = known
            && let Some(looked) = self.looked(parent, name, observed)
        {
            return Ok(looked);
        }
        let key = self.child_key(parent, name)?;
        for _ in 0..QUESTIONS_MAX {
            let asked = Instant::now();
            let found = self.ask(&key).await?;
            let observed = self.names().observe(parent, name, found, asked);
            if let Some(looked) = self.looked(parent, name, observed) {
                return Ok(looked);
            }
        }
        Ok(Looked::Absent(Duration::ZERO))
    }

    fn looked(&self, parent: u64, name: &str, observed: Observed<Arc<Body>>) -> Option<Looked> {
        match observed {
            Observed::Found(entry) => Some(Looked::Found(entry)),
            Observed::Absent(asked) => {
                let settings = self.settings();
                let mut names = self.names();
                let lasts = names.observe_absent(parent, name, asked, settings.revalidate);
                let ttl = lasts.then(|| settings.ttl(asked));
                Some(Looked::Absent(ttl.unwrap_or_default()))
            }
            Observed::Outdated => None,
        }
    }

    /// Asks the source what is at a key. A directory hides an object of the same name: what is in
    /// it could not be reached otherwise.
    pub(crate) async fn ask(&self, key: &Key) -> Result<Option<Node>, Errno> {
        let (source, key) = (self.source.of(key.root()), key.within());
        let prefix = format!("{key}/");
        let (object, directory) = tokio::join!(source.head(key), source.any_below(&prefix));
        if directory? {
            return Ok(Some(Node::Directory));
        }
        Ok(object?.map(Node::File))
    }
}
