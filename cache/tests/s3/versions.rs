//! What a bucket keeps of objects that were replaced or deleted.

use bytes::Bytes;
use dlf_cache::{ObjectStore, ObjectVersion, Origin, PutCondition, VersionRequest};

use crate::support::{keep_versions, options, origin};

/// All versions, and on how many pages they came.
async fn listed(store: &ObjectStore) -> (Vec<ObjectVersion>, usize) {
    let mut request = VersionRequest {
        max_keys: Some(3),
        ..VersionRequest::default()
    };
    let (mut versions, mut pages) = (Vec::new(), 0);
    loop {
        let page = store.list_versions(&request).await.unwrap();
        assert!(page.versions.len() <= 3, "{page:?}");
        versions.extend(page.versions);
        pages += 1;
        match page.next {
            None => return (versions, pages),
            next => request.after = next,
        }
    }
}

#[tokio::test]
async fn versions_and_marks_of_deletion_are_listed_in_pages_and_deleted_for_good() {
    need_server!("versions_and_marks_of_deletion_are_listed_in_pages_and_deleted_for_good");
    let bucket = format!("dlf-cache-versions-{}", std::process::id());
    let origin = Origin { bucket, ..origin() };
    let store = ObjectStore::new(vec![origin.clone()], options()).unwrap();
    store.create_bucket().await.unwrap();
    let write = async |key: &str| {
        let bytes = Bytes::copy_from_slice(key.as_bytes());
        store.put(key, bytes, PutCondition::None).await.unwrap();
    };
    write("before").await;
    assert_eq!(listed(&store).await.0.len(), 1, "an object is a version");
    keep_versions(&origin.bucket);
    for key in ["before", "a b+c", "a b+c", "ü&", "ü&"] {
        write(key).await;
    }
    store.delete("ü&").await.unwrap();

    let (versions, pages) = listed(&store).await;
    assert!(pages > 2, "{pages}");
    let mut keys: Vec<_> = versions.iter().map(|version| &*version.key).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["a b+c", "a b+c", "before", "before", "ü&", "ü&", "ü&"]
    );

    let (first, rest) = versions.split_at(1);
    assert_eq!(store.delete_versions(first).await.unwrap(), []);
    let left = listed(&store).await.0;
    assert_eq!(left.len(), rest.len());
    assert!(
        rest.iter().all(|version| left.contains(version)),
        "{left:?}"
    );
    assert_eq!(store.delete_versions(&versions).await.unwrap(), []);
    assert_eq!(listed(&store).await.0, []);
    store.delete_bucket().await.unwrap();
}
