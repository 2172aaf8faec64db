//! Writing to open files, and closing them.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fuser::Errno;
use rustix::process::Signal;

use super::body::Body;
use super::core::{Core, Node};
use super::handles::OpenFile;
use super::key::Key;
use super::losses::Cause;
use super::names::Body as _;
use crate::node::endings::Ending;

impl Core {
    /// Writes anywhere in an open file; see [`Body::write`] for the errors. `from_pages`: the
    /// kernel writes out a page of a mapped file.
    pub(crate) async fn write(
        &self,
        handle: u64,
        offset: u64,
        data: Bytes,
        from_pages: bool,
    ) -> Result<(), Errno> {
        let length = data.len() as u64;
        self.check_writable()?;
        let file = self.files.get(handle)?;
        let body = self.body_to_write(&file)?;
        file.wrote();
        // The end may be elsewhere than where the kernel saw it: another node appends, too.
        let at_end = file.append && !from_pages;
        let key = self.names().key(file.ino);
        // What has no name is sent nowhere.
        let source = match &key {
            Some(key) => self.source.of(key.root()),
            None => self.source.clone(),
        };
        let key = key.as_ref().map(Key::within);
        let place = (!at_end).then_some(offset);
        let written = body.write(&source, key, place, data).await;
        if let Err(errno) = written {
            self.tell(file.ino, &body, Cause::Refused(errno), None);
            self.refused(file.ino);
        }
        if at_end && body.size() != offset + length {
            self.forget_pages(file.ino);
        }
        written
    }

    /// The body that writes of a handle go to. One that has none joins that of the inode, which
    /// begins as the version the inode is.
    fn body_to_write(&self, file: &OpenFile) -> Result<Arc<Body>, Errno> {
        if let Some(own) = file.body() {
            return Ok(own);
        }
        let mut names = self.names();
        let body = match names.get(file.ino).ok_or(Errno::ESTALE)?.node {
            Node::Directory => return Err(Errno::EISDIR),
            Node::Written(body) => body,
            Node::File(version) => {
                let body = Body::of(&self.room, version);
                names.joined(file.ino, body.clone());
                body
            }
        };
        body.join();
        drop(names);
        file.set_body(body.clone());
        Ok(body)
    }

    /// `ftruncate` and `truncate`, which has no handle and is committed at once.
    pub(crate) async fn truncate(
        &self,
        ino: u64,
        handle: Option<u64>,
        size: u64,
    ) -> Result<(), Errno> {
        self.check_writable()?;
        if let Some(handle) = handle {
            let file = self.files.get(handle)?;
            let body = self.body_to_write(&file)?;
            file.wrote();
            return body.truncate(size).await;
        }
        let entry = self.entry(ino)?;
        match &entry.node {
            _ if !entry.named => return Err(Errno::ESTALE),
            Node::Directory => return Err(Errno::EISDIR),
            Node::File(version) if version.size == size => return Ok(()),
            Node::File(_) | Node::Written(_) => {}
        }
        let file = self.handle(ino, 0);
        self.names().opened(ino, None);
        let body = self.body_to_write(&file);
        let truncated = match &body {
            Ok(body) => match body.truncate(size).await {
                Ok(()) => self.commit(ino, body, self.closes.ticket()).await,
                refused => refused,
            },
            Err(errno) => Err(*errno),
        };
        if let Ok(body) = body {
            self.leave(ino, &body).await;
        }
        self.names().closed(ino);
        truncated
    }

    /// `fallocate` without flags: the file is at least so long.
    pub(crate) async fn allocate(&self, handle: u64, size: u64) -> Result<(), Errno> {
        self.check_writable()?;
        let file = self.files.get(handle)?;
        let body = self.body_to_write(&file)?;
        if size <= body.size() {
            return Ok(());
        }
        file.wrote();
        body.truncate(size).await
    }

    /// One of the descriptors was closed, by `thread` as the driver sees it. An empty file that has
    /// not been written to is left to the last one: a shell closes one before the command behind `>`
    /// has written anything.
    pub(crate) async fn flush(&self, handle: u64, ticket: u64, thread: u32) -> Result<(), Errno> {
        let file = self.files.get(handle)?;
        file.closing(ticket);
        let Some(body) = file.body().filter(|body| !body.is_given_up()) else {
            return Ok(());
        };
        if body.would_replace().await
            && let Some(signal) = self.killed_by(thread).await
        {
            tracing::warn!("a program was killed while it wrote: the object stays as it was");
            body.give_up();
            let kept = self.keep(file.ino, &body).await;
            self.tell(file.ino, &body, Cause::Killed(signal), kept);
            self.refused(file.ino);
            return Ok(());
        }
        if body.size() == 0 {
            return Ok(());
        }
        self.commit(file.ino, &body, ticket).await
    }

    /// The signal by which a process was killed whose thread closes files: then what it wrote is half
    /// of what was meant. Others (`SIGINT`, `SIGPIPE`, `SIGHUP`) end programs that were to end.
    async fn killed_by(&self, thread: u32) -> Option<u8> {
        let fatal = [Signal::KILL, Signal::TERM].map(Signal::as_raw);
        match self.endings.of(thread).await {
            Ending::Signal(signal) => Some(signal).filter(|_| fatal.contains(&i32::from(signal))),
            Ending::Alive => None,
        }
    }

    /// Keeps what was written and will not be in the source, where a person can find it for a while
    /// under the name that is given.
    async fn keep(&self, ino: u64, body: &Body) -> Option<String> {
        let place = self.names().place(ino);
        let name = place.map_or_else(String::new, |(_, name)| name.to_string());
        let kept = body.keep(&name).await;
        kept.unwrap_or_else(|errno| {
            tracing::warn!(?errno, "what was written could not be kept");
            None
        })
    }

    /// Makes the source have what was written.
    pub(crate) async fn fsync(&self, handle: u64) -> Result<(), Errno> {
        let file = self.files.get(handle)?;
        match file.body() {
            Some(body) => self.commit(file.ino, &body, self.closes.ticket()).await,
            None => Ok(()),
        }
    }

    /// Makes the source have a body at the name of its inode, unless something that was closed
    /// later than `ticket` is there already.
    async fn commit(&self, ino: u64, body: &Arc<Body>, ticket: u64) -> Result<(), Errno> {
        // Now, since the wait for who else changes that key may be one for the source.
        let source = self.source_of(ino).of_one_operation();
        loop {
            let Some(key) = self.names().key(ino) else {
                // It has no name any more.
                body.abandon(&source).await;
                return Ok(());
            };
            let lock = self.lock(vec![key.clone()]).await;
            if self.names().key(ino).as_ref() != Some(&key) {
                continue;
            }
            if self.closes.is_overtaken(&key, ticket) {
                return Ok(());
            }
            let committed = body.commit(&source, key.within()).await;
            return match committed {
                Ok(None) => Ok(()),
                Ok(Some(committed)) => {
                    self.losses.accepted();
                    let now = Instant::now();
                    let was_named = self.entry(ino).is_ok_and(|entry| entry.named);
                    self.names().committed(ino, body, &committed.version, now);
                    self.closes.changed(&key, ticket);
                    if committed.moved {
                        self.forget_pages(ino);
                    }
                    // Whoever holds the directory in the kernel may wait for the key.
                    drop(lock);
                    if !was_named {
                        // The kernel may know the name as nothing, or as what another wrote.
                        self.name_forgotten(ino).await;
                    }
                    Ok(())
                }
                Err(errno) => {
                    if errno == Errno::ESTALE {
                        let kept = self.keep(ino, body).await;
                        self.tell(ino, body, Cause::Conflict, kept);
                    } else {
                        self.tell(ino, body, Cause::Refused(errno), None);
                    }
                    self.refused(ino);
                    // What was appended may lie elsewhere all the same.
                    self.forget_pages(ino);
                    Err(errno)
                }
            };
        }
    }

    /// What was written could not be: the name is what the source has, at once.
    fn refused(&self, ino: u64) {
        self.names().superseded(ino);
        self.forget_name(ino);
    }

    /// The last descriptor of a handle was closed.
    pub(crate) async fn release(&self, handle: u64) -> Result<(), Errno> {
        let file = self.files.get(handle)?;
        let result = match file.body() {
            Some(body) if file.writable => self.finish(&file, &body).await,
            _ => Ok(()),
        };
        self.names().closed(file.ino);
        // Only now, so that the end of the mount waits for it.
        self.files.remove(handle)?;
        result
    }

    /// A handle does not write to its body any more. What no close has reported is committed now:
    /// an empty file, and stores to a mapped one.
    async fn finish(&self, file: &OpenFile, body: &Arc<Body>) -> Result<(), Errno> {
        // What a program was told has failed does not appear after all.
        let result = if body.was_refused() || (body.size() == 0 && body.writers() > 1) {
            Ok(())
        } else {
            let ticket = file.last_close();
            let ticket = ticket.unwrap_or_else(|| self.closes.ticket());
            self.commit(file.ino, body, ticket).await
        };
        if let Err(errno) = &result {
            tracing::warn!(?errno, "a file was closed that could not be written");
        }
        self.leave(file.ino, body).await;
        result
    }

    async fn leave(&self, ino: u64, body: &Arc<Body>) {
        body.leave();
        if body.writers() > 0 {
            return;
        }
        let version = body.version().await;
        if version.is_none() {
            body.abandon(&self.source_of(ino)).await;
        }
        self.names()
            .settled(ino, body, version.as_ref(), Instant::now());
    }

    /// Waits for what was closed, and gives up what is still open: half a file never appears.
    pub(crate) async fn finish_all(&self) {
        for file in self.files.all() {
            match (file.body(), file.last_close()) {
                (Some(body), Some(ticket)) if !body.was_refused() => {
                    if let Err(errno) = self.commit(file.ino, &body, ticket).await {
                        tracing::warn!(?errno, "a file could not be written at the end");
                    }
                }
                (Some(body), _) => {
                    if file.writable && body.version().await.is_none() {
                        self.tell(file.ino, &body, Cause::MountEnded, None);
                    }
                    body.abandon(&self.source_of(file.ino)).await;
                }
                (None, _) => {}
            }
        }
    }
}
