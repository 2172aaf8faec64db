//! Buckets: is it there, make it, empty it.
//!
//! A bucket that was made for a dataset carries the dataset's uid, and only such a bucket is ever
//! emptied. The mark is a tag of the bucket; where the store has no tags, an empty object.

mod empty;

use std::time::Duration;

use bytes::Bytes;
use dlf_cache::{
    BucketCreation, ClientOptions, Endpoint, ErrorKind, Keys, ListRequest, ObjectStore, Origin,
    PutCondition, Shards, StoreError,
};
use dlf_core::network::AddressRules;
use dlf_wire::dataset::v1 as wire;
use dlf_wire::nodes::v1::{Done, Failure};

use crate::failure::{of_config, of_store, of_write};

pub use empty::empty;

/// Tag of a bucket that was made for a dataset; its value is the dataset's uid.
const OWNER_TAG: &str = "dlf.dev/owner";
/// Where there are no tags: an empty object of this name and the uid.
const OWNER_MARKER: &str = ".dlf.dev-owner-";

/// Key of the upload that is begun to see whether writing is permitted.
const PROBE_KEY: &str = ".dlf.dev-probe";

/// The client gives up this much before the task's deadline does, so that its own, better reason is
/// heard.
const HEADROOM: Duration = Duration::from_secs(2);
/// No request needs a longer timeout than this here: who waits is a person at a condition.
const SOURCE_TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// A client for one task; `origins` in the order in which to read, the source last.
pub fn open(
    origins: impl IntoIterator<Item = wire::Origin>,
    rules: AddressRules,
    deadline: Duration,
) -> Result<ObjectStore, Failure> {
    let origins = origins.into_iter().map(of_wire);
    let origins: Vec<Origin> = origins.collect::<Result<_, _>>()?;
    if origins.is_empty() {
        let message = "there is no origin";
        return Err(Failure::new("InvalidConfiguration", message));
    }
    let source_timeout = deadline.saturating_sub(HEADROOM).min(SOURCE_TIMEOUT_MAX);
    let options = ClientOptions {
        source_timeout,
        rules,
        ..ClientOptions::default()
    };
    ObjectStore::new(origins, options).map_err(|error| of_config(&error))
}

fn of_wire(origin: wire::Origin) -> Result<Origin, Failure> {
    let wire::Origin {
        endpoint,
        bucket,
        prefix,
        region,
        keys,
        ca_pem,
        shards,
        shard_bytes,
    } = origin;
    let endpoint: Endpoint = endpoint.parse().map_err(|error| of_config(&error))?;
    let keys = keys.map(|keys| Keys {
        access_key_id: keys.access_key_id,
        secret_access_key: keys.secret_access_key,
        session_token: Some(keys.session_token).filter(|token| !token.is_empty()),
    });
    let shards = (!shards.is_empty()).then(|| Shards::new(shards, shard_bytes));
    let shards = shards.transpose().map_err(|error| of_config(&error))?;
    let ca_pem = Some(ca_pem).filter(|pem| !pem.is_empty());
    Ok(Origin {
        endpoint,
        bucket,
        prefix,
        region,
        keys,
        ca_pem,
        shards,
    })
}

/// The same place without its prefix: a bucket is made and emptied as a whole.
#[must_use]
pub fn whole(origin: wire::Origin) -> wire::Origin {
    wire::Origin {
        prefix: String::new(),
        ..origin
    }
}

/// Whether one key can be listed and, if `writes`, what refuses writing.
pub async fn probe(store: &ObjectStore, writes: bool) -> Result<Done, Failure> {
    let page = store.list(&first_key()).await;
    page.map_err(|error| of_store(&error))?;
    let refusal = if writes {
        writable(store)
            .await
            .err()
            .and_then(|error| of_write(&error))
    } else {
        None
    };
    Ok(Done {
        writes_refused: refusal,
        ..Done::default()
    })
}

/// Begins an upload, which shows nothing, and gives it up. A PUT under a condition that does not hold
/// would do where servers heed it; some write.
async fn writable(store: &ObjectStore) -> Result<(), StoreError> {
    let upload = store.start_multipart(PROBE_KEY).await?;
    store.abort(&upload).await
}

fn first_key() -> ListRequest {
    ListRequest {
        max_keys: Some(1),
        ..ListRequest::default()
    }
}

/// Makes the bucket if it does not exist, and marks it as made for `owner`.
///
/// When it breaks off between the two the bucket stays unmarked, and so is never deleted: the safe
/// side to err on.
pub async fn ensure(store: &ObjectStore, owner: &str) -> Result<Done, Failure> {
    ensure_marked(store, owner)
        .await
        .map_err(|error| of_store(&error))
}

async fn ensure_marked(store: &ObjectStore, owner: &str) -> Result<Done, StoreError> {
    let done = |created| Done {
        created,
        ..Done::default()
    };
    if store.bucket_exists().await? {
        return Ok(done(is_marked(store, owner).await?));
    }
    // Somebody with the same keys may have been faster, and some stores do not tell: then it is
    // theirs.
    if store.create_bucket().await? == BucketCreation::AlreadyOwned
        || holds_something(store).await?
    {
        return Ok(done(false));
    }
    mark(store, owner).await?;
    Ok(done(true))
}

async fn holds_something(store: &ObjectStore) -> Result<bool, StoreError> {
    let page = store.list(&first_key()).await?;
    Ok(!page.objects.is_empty())
}

async fn mark(store: &ObjectStore, owner: &str) -> Result<(), StoreError> {
    let tags = [(OWNER_TAG.to_owned(), owner.to_owned())];
    match store.put_bucket_tags(&tags).await {
        // Some stores say so and have none.
        Ok(()) if owner_tag(store).await?.is_some() => return Ok(()),
        Err(error) if !lacks_tags(&error) => return Err(error),
        _ => {}
    }
    let marker = marker(owner);
    let written = store.put(&marker, Bytes::new(), PutCondition::None);
    written.await.map(drop)
}

/// Whom the bucket's tag names; none without such a tag.
async fn owner_tag(store: &ObjectStore) -> Result<Option<String>, StoreError> {
    match store.bucket_tags().await {
        Ok(tags) => Ok(tags
            .into_iter()
            .find(|(key, _)| key == OWNER_TAG)
            .map(|(_, value)| value)),
        Err(error) if lacks_tags(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the bucket was made for `owner`.
async fn is_marked(store: &ObjectStore, owner: &str) -> Result<bool, StoreError> {
    if let Some(found) = owner_tag(store).await? {
        return Ok(found == owner);
    }
    match store.head(&marker(owner)).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the store knows no tags of buckets, or lets these keys have none. One that overlooks
/// what is asked makes the bucket again, or lists it.
fn lacks_tags(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unsupported
            | ErrorKind::AccessDenied
            | ErrorKind::BucketAlreadyOwned
            | ErrorKind::Protocol(_)
            | ErrorKind::UnexpectedStatus(_)
    )
}

fn marker(owner: &str) -> String {
    format!("{OWNER_MARKER}{owner}")
}
