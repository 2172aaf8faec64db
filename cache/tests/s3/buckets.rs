//! The bucket's own life.

use bytes::Bytes;
use dlf_cache::{BucketCreation, ErrorKind, ObjectStore, Origin, PutCondition};

use crate::support::{options, origin};

#[tokio::test]
async fn a_bucket_is_made_marked_and_removed() {
    need_server!("a_bucket_is_made_marked_and_removed");
    let bucket = format!("dlf-cache-bucket-{}", std::process::id());
    let origin = Origin {
        bucket,
        prefix: String::new(),
        ..origin()
    };
    let store = ObjectStore::new(vec![origin], options()).unwrap();
    assert!(!store.bucket_exists().await.unwrap());
    assert_eq!(
        store.create_bucket().await.unwrap(),
        BucketCreation::Created
    );
    assert!(store.bucket_exists().await.unwrap());
    store.create_bucket().await.unwrap();

    assert_eq!(store.bucket_tags().await.unwrap(), []);
    let tags = vec![("dlf.dev/dataset-uid".to_owned(), "1-2 3".to_owned())];
    store.put_bucket_tags(&tags).await.unwrap();
    assert_eq!(store.bucket_tags().await.unwrap(), tags);

    store
        .put("k", Bytes::new(), PutCondition::None)
        .await
        .unwrap();
    assert_eq!(
        *store.delete_bucket().await.unwrap_err().kind(),
        ErrorKind::BucketNotEmpty
    );
    store.delete("k").await.unwrap();
    store.delete_bucket().await.unwrap();
    assert!(!store.bucket_exists().await.unwrap());
    store.delete_bucket().await.unwrap();
}
