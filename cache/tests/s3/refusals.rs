//! Everything a user can get wrong has a class of its own and a sentence that names the place.

use std::time::{Duration, Instant};

use dlf_cache::{ClientOptions, ErrorKind, Keys, ListRequest, ObjectStore, Origin, PutCondition};

use crate::support::{clean, keys, options, origin, pattern, store_of, variable};

fn store_at(origin: Origin) -> ObjectStore {
    ObjectStore::new(vec![origin], options()).unwrap()
}

/// What a probe sees: the class, and that it is told in time and without secrets.
async fn probed(store: &ObjectStore) -> &'static str {
    let began = Instant::now();
    let probe = ListRequest {
        max_keys: Some(1),
        ..ListRequest::default()
    };
    let error = store
        .with_timeout(Duration::from_secs(3))
        .list(&probe)
        .await
        .unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(6), "{error}");
    assert!(error.to_string().starts_with("bucket "), "{error}");
    assert!(
        !error.to_string().contains(&keys().secret_access_key),
        "{error}"
    );
    println!("{}: {error}", error.class());
    error.class()
}

#[tokio::test]
async fn wrong_keys_are_told_from_missing_rights() {
    need_server!("wrong_keys_are_told_from_missing_rights");
    let secret = Keys {
        secret_access_key: "wrong".into(),
        ..keys()
    };
    let store = store_at(Origin {
        keys: Some(secret.clone()),
        ..origin()
    });
    assert_eq!(probed(&store).await, "KeysRejected");
    let error = store.list(&ListRequest::default()).await.unwrap_err();
    assert_eq!(error.code(), Some("SignatureDoesNotMatch"));
    assert!(
        error
            .to_string()
            .ends_with("the keys (SignatureDoesNotMatch)"),
        "{error}"
    );
    let unknown = Keys {
        access_key_id: "nobody".into(),
        ..secret
    };
    let store = store_at(Origin {
        keys: Some(unknown),
        ..origin()
    });
    assert_eq!(probed(&store).await, "KeysRejected");
    // The bucket has to be there before its rights can be missing.
    clean(&store_of(origin()).await).await;
    let store = store_at(Origin {
        keys: None,
        ..origin()
    });
    assert_eq!(probed(&store).await, "AccessDenied");
    assert_eq!(store.head("k").await.unwrap_err().class(), "AccessDenied");
    let error = store.list(&ListRequest::default()).await.unwrap_err();
    assert!(
        !error.to_string().contains("AccessDenied"),
        "the class says it: {error}"
    );
}

#[tokio::test]
async fn a_reader_cannot_write() {
    need_server!("a_reader_cannot_write");
    let mine = store_of(origin()).await;
    clean(&mine).await;
    let reader = Keys {
        access_key_id: variable("S3_READER_KEY"),
        secret_access_key: variable("S3_READER_SECRET"),
        session_token: None,
    };
    let store = store_at(Origin {
        keys: Some(reader),
        ..origin()
    });
    let error = store
        .put("k", pattern(1), PutCondition::None)
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::AccessDenied);
    assert_eq!(
        store.list(&ListRequest::default()).await.unwrap().objects,
        []
    );
}

#[tokio::test]
async fn a_public_bucket_needs_no_keys() {
    need_server!("a_public_bucket_needs_no_keys");
    let public = Origin {
        bucket: variable("S3_PUBLIC_BUCKET"),
        ..origin()
    };
    let mine = store_of(public.clone()).await;
    mine.put("k", pattern(9), PutCondition::None).await.unwrap();
    let store = store_at(Origin {
        keys: None,
        ..public
    });
    assert_eq!(
        store
            .list(&ListRequest::default())
            .await
            .unwrap()
            .objects
            .len(),
        1
    );
    let body = store.get_range("k", 0..u64::MAX, None).await.unwrap();
    assert_eq!(body.collect().await.unwrap(), pattern(9));
    assert_eq!(store.delete("k").await.unwrap_err().class(), "AccessDenied");
    clean(&mine).await;
}

#[tokio::test]
async fn a_missing_bucket_is_not_a_missing_key() {
    need_server!("a_missing_bucket_is_not_a_missing_key");
    let store = store_at(Origin {
        bucket: "dlf-no-such-bucket".into(),
        ..origin()
    });
    assert_eq!(probed(&store).await, "NoSuchBucket");
    let error = store.get_range("k", 0..1, None).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NoSuchBucket);
}

#[tokio::test]
async fn nothing_there_is_unreachable() {
    need_server!("nothing_there_is_unreachable");
    for endpoint in ["http://127.0.0.1:9", "http://s3.invalid"] {
        let store = store_at(Origin {
            endpoint: endpoint.parse().unwrap(),
            ..origin()
        });
        assert_eq!(probed(&store).await, "Unreachable", "{endpoint}");
    }
}

#[tokio::test]
async fn forbidden_addresses_are_not_dialled() {
    need_server!("forbidden_addresses_are_not_dialled");
    for endpoint in [
        "http://localhost:1",
        "http://127.1:1",
        "http://169.254.169.254",
        "https://[::1]",
    ] {
        let origin = Origin {
            endpoint: endpoint.parse().unwrap(),
            ..origin()
        };
        let store = ObjectStore::new(vec![origin], ClientOptions::default()).unwrap();
        assert_eq!(probed(&store).await, "AddressNotAllowed", "{endpoint}");
    }
}

#[tokio::test]
async fn a_private_ca_has_to_be_given() {
    need_server!("a_private_ca_has_to_be_given");
    let endpoint = variable("S3_TLS_ENDPOINT");
    let secure = Origin {
        endpoint: endpoint.parse().unwrap(),
        ..origin()
    };
    assert_eq!(probed(&store_at(secure.clone())).await, "TlsFailed");
    let ca = std::fs::read_to_string(variable("S3_CA_FILE")).unwrap();
    let store = store_of(Origin {
        ca_pem: Some(ca),
        ..secure.clone()
    })
    .await;
    let bytes = pattern(300_000);
    store
        .put("k", bytes.clone(), PutCondition::None)
        .await
        .unwrap();
    let body = store.get_range("k", 0..u64::MAX, None).await.unwrap();
    assert_eq!(body.collect().await.unwrap(), bytes);
    clean(&store).await;

    // Trust that is taken back holds for connections that are open already.
    let trusting = Origin {
        ca_pem: Some(std::fs::read_to_string(variable("S3_CA_FILE")).unwrap()),
        ..secure.clone()
    };
    assert_eq!(store.head("k").await.unwrap_err().class(), "NotFound");
    store.reconfigure(vec![secure.clone()]).unwrap();
    assert_eq!(store.head("k").await.unwrap_err().class(), "TlsFailed");
    store.reconfigure(vec![trusting]).unwrap();
    assert_eq!(store.head("k").await.unwrap_err().class(), "NotFound");

    let plain = variable("S3_ENDPOINT").replace("http:", "https:");
    let store = store_at(Origin {
        endpoint: plain.parse().unwrap(),
        ..secure
    });
    assert_eq!(probed(&store).await, "TlsFailed");
}

#[tokio::test]
async fn keys_rotate_between_two_requests() {
    need_server!("keys_rotate_between_two_requests");
    let good = origin();
    let store = store_of(good.clone()).await;
    let bytes = pattern(8 * 1024 * 1024);
    store
        .put("k", bytes.clone(), PutCondition::None)
        .await
        .unwrap();
    let mut in_flight = store.get_range("k", 0..u64::MAX, None).await.unwrap();
    let first = in_flight.next_chunk().await.unwrap().unwrap();

    let wrong = Keys {
        secret_access_key: "wrong".into(),
        ..keys()
    };
    store
        .reconfigure(vec![Origin {
            keys: Some(wrong),
            ..good.clone()
        }])
        .unwrap();
    assert_eq!(probed(&store).await, "KeysRejected");
    let rest = in_flight.collect().await.unwrap();
    assert!(
        [first, rest].concat() == bytes,
        "what was begun is finished"
    );

    store.reconfigure(vec![good]).unwrap();
    assert!(
        store.reconfigure(Vec::new()).is_err(),
        "and a bad configuration changes nothing"
    );
    assert_eq!(store.head("k").await.unwrap().size, bytes.len() as u64);
    clean(&store).await;
}
