//! Heads, ranges, listings.

use dlf_cache::{ErrorKind, ListRequest, PutCondition};

use crate::support::{clean, keys_of, pattern, store};

#[tokio::test]
async fn any_range_holds_the_objects_bytes() {
    need_server!("any_range_holds_the_objects_bytes");
    let store = store().await;
    let bytes = pattern(3 * 1024 * 1024 + 17);
    let size = bytes.len() as u64;
    let etag = store
        .put("object", bytes.clone(), PutCondition::None)
        .await
        .unwrap();
    let meta = store.head("object").await.unwrap();
    assert_eq!((meta.size, &meta.etag), (size, &etag));
    assert!(meta.last_modified.is_some());
    for range in [
        0..size,
        0..1,
        5..6,
        1_000_000..2_000_003,
        size - 1..size,
        7..size + 99,
        7..u64::MAX,
    ] {
        let body = store
            .get_range("object", range.clone(), Some(&etag))
            .await
            .unwrap();
        assert_eq!((body.object_size(), body.etag()), (size, &etag));
        let end = range.end.min(size);
        assert_eq!(body.remaining(), end - range.start);
        let got = body.collect().await.unwrap();
        let wanted = usize::try_from(range.start).unwrap()..usize::try_from(end).unwrap();
        assert!(got == bytes[wanted], "{range:?}");
    }
    let usage = store.usage();
    assert!(
        usage.bytes_read > size && usage.bytes_written == size,
        "{usage:?}"
    );
    assert_eq!((usage.requests, usage.retries, usage.errors), (9, 0, 0));
    clean(&store).await;
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    need_server!("what_is_not_there_is_not_found");
    let store = store().await;
    assert_eq!(
        *store.head("nothing").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let error = store.get_range("nothing", 0..1, None).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound);
    store
        .put("short", pattern(3), PutCondition::None)
        .await
        .unwrap();
    let error = store.get_range("short", 3..4, None).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::RangeNotSatisfiable);
    #[allow(clippy::reversed_empty_ranges)]
    for empty in [1..1, 2..1] {
        let error = store.get_range("short", empty, None).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::RangeNotSatisfiable);
    }
    clean(&store).await;
}

#[tokio::test]
async fn a_replaced_object_is_never_mixed_with_its_successor() {
    need_server!("a_replaced_object_is_never_mixed_with_its_successor");
    let store = store().await;
    let old = store
        .put("object", pattern(10), PutCondition::None)
        .await
        .unwrap();
    let new = store
        .put("object", pattern(11), PutCondition::None)
        .await
        .unwrap();
    let error = store
        .get_range("object", 0..5, Some(&old))
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::PreconditionFailed);
    assert_eq!(error.class(), "PreconditionFailed");
    assert!(store.get_range("object", 0..5, Some(&new)).await.is_ok());
    clean(&store).await;
}

#[tokio::test]
async fn listings_come_in_pages_groups_and_order() {
    need_server!("listings_come_in_pages_groups_and_order");
    let store = store().await;
    for key in ["a", "d/1", "d/2", "d/e/3", "z"] {
        store
            .put(key, pattern(key.len()), PutCondition::None)
            .await
            .unwrap();
    }
    assert_eq!(keys_of(&store).await, ["a", "d/1", "d/2", "d/e/3", "z"]);

    let top = ListRequest {
        delimiter: true,
        ..ListRequest::default()
    };
    let page = store.list(&top).await.unwrap();
    assert_eq!(page.common_prefixes, ["d/"]);
    let keys: Vec<_> = page
        .objects
        .iter()
        .map(|object| object.key.as_str())
        .collect();
    assert_eq!(keys, ["a", "z"]);
    assert_eq!(page.objects[0].size, 1);
    assert_eq!(page.objects[0].etag, store.head("a").await.unwrap().etag);

    let inner = ListRequest {
        prefix: "d/".into(),
        delimiter: true,
        ..ListRequest::default()
    };
    let page = store.list(&inner).await.unwrap();
    assert_eq!(
        (page.objects.len(), page.common_prefixes),
        (2, vec!["d/e/".to_owned()])
    );

    let after = ListRequest {
        start_after: Some("d/1".into()),
        ..ListRequest::default()
    };
    assert_eq!(store.list(&after).await.unwrap().objects[0].key, "d/2");

    let mut pages = Vec::new();
    let mut request = ListRequest {
        max_keys: Some(2),
        ..ListRequest::default()
    };
    loop {
        let page = store.list(&request).await.unwrap();
        pages.push(page.objects.len());
        match page.next {
            None => break,
            next => request.continuation = next,
        }
    }
    assert_eq!(pages, [2, 2, 1]);
    clean(&store).await;
}

/// Keys as people and programs make them. What `SeaweedFS`, which keeps keys as paths of files, does
/// not take (empty and dotted segments, backslashes) is tested as an encoding in `url`.
const ODD_KEYS: [&str; 14] = [
    "a b",
    " lead",
    "trail ",
    "a+b",
    "a%20b",
    "100%",
    "ü/日本/🦀",
    "a&b<c>\"'",
    "x=y;z",
    "tilde~",
    "(p)!*'$,@:",
    "q?a#b",
    "[x]{y}|^`",
    "-._",
];

#[tokio::test]
async fn keys_of_any_character_come_back_as_they_went() {
    need_server!("keys_of_any_character_come_back_as_they_went");
    let store = store().await;
    for key in ODD_KEYS {
        let bytes = pattern(key.len());
        store
            .put(key, bytes.clone(), PutCondition::None)
            .await
            .unwrap();
        let meta = store.head(key).await.unwrap();
        let body = store
            .get_range(key, 0..u64::MAX, Some(&meta.etag))
            .await
            .unwrap();
        assert_eq!(body.collect().await.unwrap(), bytes, "{key:?}");
        let copy = format!("copy/{key}");
        store.copy(&meta, &copy).await.unwrap();
        assert_eq!(store.head(&copy).await.unwrap().size, meta.size, "{key:?}");
    }
    let mut wanted: Vec<String> = ODD_KEYS
        .iter()
        .flat_map(|key| [(*key).to_owned(), format!("copy/{key}")])
        .collect();
    wanted.sort();
    let mut listed = keys_of(&store).await;
    listed.sort();
    assert_eq!(listed, wanted);
    clean(&store).await;
}
