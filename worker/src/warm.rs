//! Reading a dataset through its cache, so that the cache comes to have it.

use dlf_cache::{ErrorKind, ListRequest, ObjectMeta, ObjectStore, StoreError};
use dlf_wire::nodes::v1::{Done, Failure};
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::failure::of_store;
use crate::progress::{Progress, Step};

/// Objects that are read at once: the source has readers besides.
const READS: usize = 4;

/// After this many reads that a cache was to answer, of which it answered none, it is the cache that
/// fails: going on would read the source for nobody.
const FAILURES_MAX: u64 = 8;

/// Reads all objects below the prefixes, in the store's order, behind `start_after`.
///
/// What comes is thrown away. An object that was replaced or deleted since it was listed is passed over.
pub async fn warm(
    store: &ObjectStore,
    prefixes: &[String],
    start_after: &str,
    progress: &dyn Progress,
) -> Result<Done, Failure> {
    let mut done = Step::default();
    let mut after = Some(start_after.to_owned()).filter(|key| !key.is_empty());
    let everything = [String::new()];
    let prefixes = if prefixes.is_empty() {
        &everything
    } else {
        prefixes
    };
    for prefix in prefixes {
        let mut next = None;
        loop {
            let request = ListRequest {
                prefix: prefix.clone(),
                start_after: after.clone(),
                continuation: next,
                ..ListRequest::default()
            };
            let page = store.list(&request).await;
            let page = page.map_err(|error| of_store(&error))?;
            // Not every store heeds where a listing is to begin.
            let behind = |object: &ObjectMeta| after.as_ref().is_none_or(|key| object.key > *key);
            let objects = page.objects.into_iter().filter(behind);
            let mut reads = stream::iter(objects)
                .map(|object| read(store, object))
                .buffered(READS);
            while let Some((key, bytes)) =
                reads.try_next().await.map_err(|error| of_store(&error))?
            {
                is_answered(store)?;
                done.objects += 1;
                done.bytes += bytes;
                done.done_to = key;
                progress.report(done.clone());
            }
            drop(reads);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        // All keys of the next prefix are behind all of this one.
        after = None;
    }
    Ok(Done {
        objects: done.objects,
        bytes: done.bytes,
        ..Done::default()
    })
}

/// Reads one object; gives its key and how many bytes came.
async fn read(store: &ObjectStore, object: ObjectMeta) -> Result<(String, u64), StoreError> {
    let ObjectMeta {
        key, size, etag, ..
    } = object;
    if size == 0 {
        return Ok((key, 0));
    }
    let read = async {
        let mut body = store.get_range(&key, 0..size, Some(&etag)).await?;
        let mut bytes = 0;
        while let Some(chunk) = body.next_chunk().await {
            bytes += chunk?.len() as u64;
        }
        Ok(bytes)
    };
    match read.await {
        Ok(bytes) => Ok((key, bytes)),
        Err(error) if is_outdated(&error) => Ok((key, 0)),
        Err(error) => Err(error),
    }
}

fn is_outdated(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::PreconditionFailed
    )
}

fn is_answered(store: &ObjectStore) -> Result<(), Failure> {
    let usage = store.usage();
    if usage.cached_bytes_read > 0 || usage.cache_failures < FAILURES_MAX {
        return Ok(());
    }
    Err(Failure::new(
        "CacheNotServing",
        format!(
            "{} reads were to go through the cache and none did, so nothing is loaded into it: see whether its Service \
             leads to pods that answer",
            usage.cache_failures
        ),
    ))
}
