use std::os::unix::fs::MetadataExt;

use dlf_wire::dataset::v1::Keys;

use super::*;

fn origin() -> Origin {
    Origin {
        endpoint: "http://s3.example.com:9000".to_owned(),
        bucket: "b".to_owned(),
        prefix: "p/q/".to_owned(),
        keys: Some(Keys {
            access_key_id: "AK".to_owned(),
            secret_access_key: "hush".to_owned(),
            session_token: String::new(),
        }),
        ..Origin::default()
    }
}

#[test]
fn keys_are_in_a_private_file_and_in_no_argument() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::write(&origin(), directory.path()).unwrap();
    let keys = files.keys.clone().unwrap();
    assert_eq!(fs::read_to_string(&keys).unwrap(), "AK:hush\n");
    assert_eq!(fs::metadata(&keys).unwrap().mode() & 0o777, 0o600);

    let mut volume = FuseVolume {
        source_timeout_ms: 90_000,
        ..FuseVolume::default()
    };
    volume.options.insert("use_xattr".into(), "true".into());
    volume.options.insert("retries".into(), "7".into());
    let arguments = arguments(&volume, &origin(), true, Some(5), &files);
    assert_eq!(arguments[0], "b:/p/q");
    assert!(!arguments.concat().contains("hush"));
    let position = |wanted: &str| arguments.iter().position(|argument| argument == wanted);
    for wanted in ["use_xattr", "ro", "gid=5", "readwrite_timeout=30"] {
        assert!(position(wanted).is_some(), "{wanted} in {arguments:?}");
    }
    assert!(position("retries=2") < position("retries=7"));
}

#[test]
fn temporary_keys_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut origin = origin();
    origin.keys.as_mut().unwrap().session_token = "t".to_owned();
    assert!(matches!(
        Files::write(&origin, directory.path()),
        Err(S3fsError::SessionToken)
    ));
}

#[tokio::test]
async fn forbidden_addresses_are_refused_before_anything_runs() {
    let rules = AddressRules::default();
    for endpoint in [
        "http://127.0.0.1:1",
        "https://[::1]",
        "http://169.254.169.254/",
    ] {
        let refused = check_address(endpoint, &rules).await.unwrap_err();
        assert!(
            matches!(refused, S3fsError::Address(_)),
            "{endpoint}: {refused}"
        );
    }
    check_address("http://192.0.2.1", &rules).await.unwrap();
    assert!(check_address("192.0.2.1", &rules).await.is_err());
}
