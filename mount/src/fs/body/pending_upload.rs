//! One multipart upload: the parts that were sent ahead, and those that a commit adds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use dlf_cache::{Lease, Payload};
use fuser::Errno;
use tokio::task::JoinHandle;

use crate::fs::source::{Part, PutCondition, Source, Upload};

/// Parts of one file under way at once: enough to hide a source's latency, and the memory of one
/// file stays at five parts.
const PARTS_IN_FLIGHT_MAX: usize = 4;

/// An upload that has been started and neither completed nor aborted.
#[derive(Debug)]
pub(super) struct PendingUpload {
    upload: Arc<Upload>,
    done: BTreeMap<u16, Part>,
    under_way: VecDeque<(u16, JoinHandle<Result<Part, Errno>>)>,
    /// Written again while they were under way: what comes of them is not wanted.
    stale: BTreeSet<u16>,
}

impl PendingUpload {
    pub(super) async fn start(source: &Source, key: &str) -> Result<Self, Errno> {
        Ok(Self {
            upload: Arc::new(source.start_upload(key).await?),
            done: BTreeMap::new(),
            under_way: VecDeque::new(),
            stale: BTreeSet::new(),
        })
    }

    /// Where the object will appear.
    pub(super) fn key(&self) -> &str {
        &self.upload.key
    }

    pub(super) fn upload(&self) -> &Arc<Upload> {
        &self.upload
    }

    /// Whether the source has part `number` of so many bytes, or is being sent it.
    pub(super) fn has(&self, number: u16, bytes: u64) -> bool {
        let done = self.done.get(&number);
        done.is_some_and(|part| part.size == bytes)
    }

    /// Part `number` was written again: what was sent of it does not count.
    pub(super) fn touch(&mut self, number: u16) {
        self.done.remove(&number);
        if self.under_way.iter().any(|(sent, _)| *sent == number) {
            self.stale.insert(number);
        }
    }

    /// Sends a part, after waiting for an earlier one if too many are under way. An error may be
    /// that of an earlier part.
    pub(super) async fn send(
        &mut self,
        source: &Source,
        number: u16,
        body: Payload,
        memory: Option<Lease>,
    ) -> Result<(), Errno> {
        let (of, upload) = (source.clone(), self.upload.clone());
        self.begin(number, async move {
            let part = of.upload_part(&upload, number, body).await;
            drop(memory);
            part
        })
        .await
    }

    /// As [`Self::send`], of a part that somebody else makes.
    pub(super) async fn begin(
        &mut self,
        number: u16,
        part: impl Future<Output = Result<Part, Errno>> + Send + 'static,
    ) -> Result<(), Errno> {
        // A part that is sent twice at once may arrive in either order.
        while self.under_way.len() >= PARTS_IN_FLIGHT_MAX
            || self.under_way.iter().any(|(sent, _)| *sent == number)
        {
            self.wait_for_one().await?;
        }
        self.under_way.push_back((number, tokio::spawn(part)));
        Ok(())
    }

    async fn wait_for_one(&mut self) -> Result<(), Errno> {
        let Some((number, task)) = self.under_way.front_mut() else {
            return Ok(());
        };
        let number = *number;
        let part = task.await.map_err(|_| Errno::EIO);
        // Only now: whoever stops waiting has lost nothing.
        self.under_way.pop_front();
        let stale = self.stale.remove(&number);
        let part = part??;
        if !stale {
            self.done.insert(number, part);
        }
        Ok(())
    }

    /// Waits until no part is under way.
    pub(super) async fn settle(&mut self) -> Result<(), Errno> {
        while !self.under_way.is_empty() {
            self.wait_for_one().await?;
        }
        Ok(())
    }

    /// Makes the object appear, of its first `count` parts; its `ETag` is returned.
    pub(super) async fn complete(
        &mut self,
        source: &Source,
        count: u16,
        condition: PutCondition,
    ) -> Result<Arc<str>, Errno> {
        self.settle().await?;
        let parts: Vec<_> = self
            .done
            .range(..=count)
            .map(|(_, part)| part.clone())
            .collect();
        if parts.len() != usize::from(count) {
            return Err(Errno::EIO);
        }
        source
            .complete_upload(&self.upload, &parts, condition)
            .await
    }

    /// Ends the upload without a trace, and lets nobody wait for it. If even that fails, it is the
    /// bucket's lifecycle rules' to clear.
    pub(super) fn abort(self, source: &Source) {
        let source = source.clone();
        tokio::spawn(async move {
            for (_, task) in &self.under_way {
                task.abort();
            }
            for (_, task) in self.under_way {
                // A part that arrived after the abort would stay.
                let _ = task.await;
            }
            if let Err(errno) = source.abort_upload(&self.upload).await {
                tracing::warn!(?errno, "an unfinished upload was left in the source");
            }
        });
    }
}
