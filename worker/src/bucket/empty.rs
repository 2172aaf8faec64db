//! Emptying a bucket, so that it can be deleted.

use std::time::Duration;

use dlf_cache::{
    DeleteFailure, ErrorKind, ListRequest, ObjectStore, StoreError, Upload, VersionRequest,
};
use dlf_wire::nodes::v1::{Done, Failure};

use super::{is_marked, mark, marker};
use crate::failure::of_store;
use crate::progress::{Progress, Step};

/// Nobody waits at a condition here, and a store may work a while on a page of deletions.
const SOURCE_TIMEOUT: Duration = Duration::from_mins(1);

/// Keys of one page. Sixty-four buckets may be emptied at once, some of them by servers that send as
/// much as they are let: ten times as many keys would save little time and exceed a worker's memory.
const PAGE_KEYS: u16 = 100;

/// Deletes all that a bucket made for `owner` holds (objects, old versions of them, unfinished
/// uploads), then the bucket; a bucket without that mark is kept, and the answer says so.
///
/// What is listed is deleted before the next page is asked for, so it begins where it broke off.
pub async fn empty(
    store: &ObjectStore,
    owner: &str,
    progress: &dyn Progress,
) -> Result<Done, Failure> {
    let done = |deleted| Done {
        deleted,
        ..Done::default()
    };
    let of_store = |error: StoreError| of_store(&error);
    // With a probe's timeout: whoever deletes a Dataset is told soon that its source is away.
    if !store.bucket_exists().await.map_err(of_store)? {
        return Ok(done(true));
    }
    let store = store.with_timeout(SOURCE_TIMEOUT);
    if !is_marked(&store, owner).await.map_err(of_store)? {
        return Ok(done(false));
    }
    let marker = marker(owner);
    let mut turn = Turn {
        store: &store,
        progress,
        done: 0,
    };
    let versions = turn.delete_versions("", Some(&marker)).await?;
    // Objects that a listing of versions did not show, where a store knows none.
    turn.delete_objects("", Some(&marker)).await?;
    turn.abort_uploads().await?;
    // Last, since without it nothing would be deleted any more.
    turn.delete_versions(&marker, None).await?;
    turn.delete_objects(&marker, None).await?;
    match store.delete_bucket().await {
        Ok(()) => Ok(done(true)),
        Err(error) if matches!(error.kind(), ErrorKind::BucketNotEmpty) => {
            if let Err(error) = mark(&store, owner).await {
                tracing::warn!(%error, "the bucket has lost its mark and will be kept");
            }
            Err(still_filled(versions))
        }
        Err(error) => Err(of_store(error)),
    }
}

/// Whether all versions have been seen, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Versions {
    Seen,
    Unknown,
    Denied,
}

/// What one task has done so far.
struct Turn<'a> {
    store: &'a ObjectStore,
    progress: &'a dyn Progress,
    done: u64,
}

impl Turn<'_> {
    /// Deletes every version beneath `prefix` but those of the key `kept`.
    async fn delete_versions(
        &mut self,
        prefix: &str,
        kept: Option<&str>,
    ) -> Result<Versions, Failure> {
        let mut request = VersionRequest {
            prefix: prefix.to_owned(),
            max_keys: Some(PAGE_KEYS),
            ..VersionRequest::default()
        };
        loop {
            let page = match self.store.list_versions(&request).await {
                Ok(page) => page,
                Err(error) => return without_versions(&error),
            };
            let mut versions = page.versions;
            versions.retain(|version| Some(version.key.as_str()) != kept);
            let failures = self.store.delete_versions(&versions).await;
            self.deleted(versions.len(), failures)?;
            match page.next {
                Some(next) => request.after = Some(next),
                None => return Ok(Versions::Seen),
            }
        }
    }

    /// Deletes every object beneath `prefix` but the key `kept`.
    async fn delete_objects(&mut self, prefix: &str, kept: Option<&str>) -> Result<(), Failure> {
        let mut request = ListRequest {
            prefix: prefix.to_owned(),
            max_keys: Some(PAGE_KEYS),
            ..ListRequest::default()
        };
        loop {
            let page = self.store.list(&request).await;
            let page = page.map_err(|error| of_store(&error))?;
            let keys = page.objects.into_iter().map(|object| object.key);
            let keys: Vec<String> = keys.filter(|key| Some(key.as_str()) != kept).collect();
            let failures = self.store.delete_many(&keys).await;
            self.deleted(keys.len(), failures)?;
            match page.next {
                Some(next) => request.continuation = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Aborts uploads page by page; the next page is the first one again. A store that goes on
    /// naming the same one is left with it: whether that matters, deleting the bucket will tell.
    async fn abort_uploads(&mut self) -> Result<(), Failure> {
        let mut before: Option<Upload> = None;
        loop {
            let page = match self.store.list_uploads("").await {
                Err(error) if is_unknown(&error) || is_denied(&error) => return Ok(()),
                page => page.map_err(|error| of_store(&error))?,
            };
            if page.uploads.is_empty() || page.uploads.first() == before.as_ref() {
                return Ok(());
            }
            let aborted = self.store.abort_many(&page.uploads).await;
            aborted.map_err(|error| of_store(&error))?;
            self.report(page.uploads.len());
            if !page.truncated {
                return Ok(());
            }
            before = page.uploads.into_iter().next();
        }
    }

    /// Takes note of a page of deletions.
    fn deleted(
        &mut self,
        asked: usize,
        outcome: Result<Vec<DeleteFailure>, StoreError>,
    ) -> Result<(), Failure> {
        let failures = outcome.map_err(|error| of_store(&error))?;
        if let Some(DeleteFailure { class, .. }) = failures.first() {
            let way_out = match *class {
                "AccessDenied" => {
                    "a retention rule of the store or the rights of these keys forbid it: lift \
                     that, or delete the bucket with the store's own tools"
                }
                _ => "it is tried again; the store's own log tells more",
            };
            let count = failures.len();
            let message = format!("{count} of {asked} objects could not be deleted: {way_out}");
            return Err(Failure::new(*class, message));
        }
        self.report(asked);
        Ok(())
    }

    fn report(&mut self, count: usize) {
        if count > 0 {
            self.done += count as u64;
            self.progress.report(Step {
                objects: self.done,
                ..Step::default()
            });
        }
    }
}

/// What it means that versions cannot be listed: there may be none, which the bucket's deletion
/// will tell.
fn without_versions(error: &StoreError) -> Result<Versions, Failure> {
    if is_unknown(error) {
        Ok(Versions::Unknown)
    } else if is_denied(error) {
        Ok(Versions::Denied)
    } else {
        Err(of_store(error))
    }
}

/// Whether the store does not know the request: some say so, some answer what they take it for.
fn is_unknown(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unsupported | ErrorKind::Protocol(_) | ErrorKind::UnexpectedStatus(_)
    )
}

fn is_denied(error: &StoreError) -> bool {
    matches!(error.kind(), ErrorKind::AccessDenied)
}

fn still_filled(versions: Versions) -> Failure {
    let message = match versions {
        Versions::Seen => {
            "the bucket was emptied and holds something again: end what writes to it; emptying it \
             is tried again"
        }
        Versions::Unknown => {
            "the bucket still holds something that the store does not list: written meanwhile, or \
             old versions of objects; end what writes to it, or delete it with the store's own tools"
        }
        Versions::Denied => {
            "the bucket still holds something, and these keys may not list old versions of objects: \
             permit them s3:ListBucketVersions and s3:DeleteObjectVersion, or delete the bucket with \
             the store's own tools"
        }
    };
    Failure::new("BucketNotEmpty", message)
}
