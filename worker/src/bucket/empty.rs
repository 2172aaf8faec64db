use dlf_cache::{DeleteFailure, ErrorKind, ListRequest, ObjectStore, StoreError};
use dlf_wire::nodes::v1::{Done, Failure};

use super::{is_marked, marker};
use crate::failure::{failure, of_store};
use crate::task::Progress;

/// Unfinished uploads are listed a page at a time and aborted, so that the next page is the first
/// one again. A store that goes on naming the same ones is given up after this many.
const UPLOAD_PAGES_MAX: usize = 10_000;

/// Deletes every object and unfinished upload of a bucket that was made for `owner`, then the
/// bucket; a bucket without that mark is kept, and the answer says so.
///
/// What is listed is deleted before the next page is asked for, so it begins where it broke off.
pub async fn empty(
    store: &ObjectStore,
    owner: &str,
    progress: &dyn Progress,
) -> Result<Done, Failure> {
    let of_store = |error: StoreError| of_store(&error);
    if !store.bucket_exists().await.map_err(of_store)? {
        return Ok(Done {
            created: false,
            deleted: true,
        });
    }
    if !is_marked(store, owner).await.map_err(of_store)? {
        return Ok(Done {
            created: false,
            deleted: false,
        });
    }
    delete_objects(store, owner, progress).await?;
    abort_uploads(store).await.map_err(of_store)?;
    // Last, since without it nothing would be deleted any more.
    store.delete(&marker(owner)).await.map_err(of_store)?;
    match store.delete_bucket().await {
        Ok(()) => Ok(Done {
            created: false,
            deleted: true,
        }),
        Err(error) if matches!(error.kind(), ErrorKind::BucketNotEmpty) => Err(still_filled()),
        Err(error) => Err(of_store(error)),
    }
}

async fn delete_objects(
    store: &ObjectStore,
    owner: &str,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    let marker = marker(owner);
    let mut request = ListRequest::default();
    let mut deleted = 0;
    loop {
        let page = store
            .list(&request)
            .await
            .map_err(|error| of_store(&error))?;
        let keys: Vec<String> = page
            .objects
            .into_iter()
            .map(|object| object.key)
            .filter(|key| *key != marker)
            .collect();
        if !keys.is_empty() {
            let kept = store
                .delete_many(&keys)
                .await
                .map_err(|error| of_store(&error))?;
            if let Some(DeleteFailure { class, .. }) = kept.first() {
                let message = format!(
                    "{} of {} objects could not be deleted ({class}); the others of this page are",
                    kept.len(),
                    keys.len()
                );
                return Err(failure(*class, message));
            }
            deleted += keys.len() as u64;
            progress.report(deleted);
        }
        match page.next {
            Some(next) => request.continuation = Some(next),
            None => return Ok(()),
        }
    }
}

async fn abort_uploads(store: &ObjectStore) -> Result<(), StoreError> {
    for _ in 0..UPLOAD_PAGES_MAX {
        let page = match store.list_uploads("").await {
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported) => return Ok(()),
            page => page?,
        };
        for upload in &page.uploads {
            store.abort(upload).await?;
        }
        if !page.truncated {
            break;
        }
    }
    Ok(())
}

fn still_filled() -> Failure {
    failure(
        "BucketNotEmpty",
        "the bucket still holds something: objects written meanwhile, or old versions of objects; \
         remove what writes to it, or empty it with the store's own tools",
    )
}
