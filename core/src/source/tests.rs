use super::*;

fn spec(pairs: &[(&str, &str)]) -> DatasetSpec {
    let local = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    DatasetSpec {
        local: Some(local),
        ..DatasetSpec::default()
    }
}

fn parse(pairs: &[(&str, &str)]) -> Result<Source, String> {
    Source::parse(&spec(pairs), &BTreeMap::new(), "ns").map_err(|error| error.to_string())
}

const SLIDE: [(&str, &str); 6] = [
    ("type", "COS"),
    ("accessKeyID", "id"),
    ("secretAccessKey", "secret"),
    ("endpoint", "http://s3.example.com:9000"),
    ("bucket", "books"),
    ("region", ""),
];

fn bucket(bucket: &str, folder: Option<&str>) -> Result<BucketPath, String> {
    let mut pairs = vec![
        ("type", "COS"),
        ("endpoint", "http://s3"),
        ("bucket", bucket),
    ];
    pairs.extend(folder.map(|folder| ("folder", folder)));
    match parse(&pairs)? {
        Source::ObjectStore(source) => Ok(source.location),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_slide_is_understood() {
    let Ok(Source::ObjectStore(source)) = parse(&SLIDE) else {
        panic!()
    };
    assert!(matches!(source.keys, KeySource::Inline { .. }));
    assert_eq!(source.location.bucket, "books");
    assert!(
        !format!("{source:?}").contains("secret\""),
        "keys stay out of debug output"
    );
}

#[test]
fn the_name_of_a_secret_cannot_lead_anywhere_else() {
    for name in [
        "../../other/secrets/x",
        "a/b",
        "a?watch=true",
        "A",
        "a..b",
        "-a",
    ] {
        for key in ["secret-name", "ca-secret-name"] {
            let mut pairs = SLIDE.to_vec();
            pairs.push((key, name));
            let error = parse(&pairs).unwrap_err();
            assert!(error.contains(key) && error.contains(name), "{error}");
        }
    }
    let mut pairs = SLIDE.to_vec();
    pairs.push(("secret-name", "team-a.keys"));
    assert!(parse(&pairs).is_ok());
}

#[test]
fn control_characters_lead_nowhere_either() {
    for (key, value) in [
        ("server", "nfs\nevil"),
        ("server", "nfs\tx"),
        ("share", "/a\nb"),
    ] {
        let mut pairs = vec![("type", "NFS"), ("server", "nfs"), ("share", "/a")];
        pairs.retain(|(known, _)| *known != key);
        pairs.push((key, value));
        assert!(parse(&pairs).unwrap_err().contains(key));
    }
}

#[test]
fn a_secret_wins_over_inline_keys_and_empty_keys_are_anonymous() {
    let keys = |extra: &[(&str, &str)]| {
        let mut pairs = SLIDE.to_vec();
        pairs.extend_from_slice(extra);
        match parse(&pairs) {
            Ok(Source::ObjectStore(source)) => source.keys,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        keys(&[("secret-name", "mine")]),
        KeySource::Secret {
            name: "mine".into()
        }
    );
    assert_eq!(
        keys(&[("accessKeyID", ""), ("secretAccessKey", "")]),
        KeySource::Anonymous
    );
}

#[test]
fn bucket_and_folder_are_two_ways_to_say_one_thing() {
    let expected = BucketPath {
        bucket: "books".into(),
        prefix: "a/b/".into(),
    };
    assert_eq!(bucket("books/a/b", None), Ok(expected.clone()));
    assert_eq!(bucket("books", Some("/a/b/")), Ok(expected.clone()));
    assert_eq!(bucket("books/a/b/", Some("a/b")), Ok(expected));
    assert!(
        bucket("books/a", Some("b"))
            .unwrap_err()
            .contains("make them agree")
    );
    assert!(bucket("b", None).unwrap_err().contains("3 to 63"));
}

#[test]
fn an_error_names_the_key_what_was_found_and_what_to_do() {
    let with = |key: &str, value: &str| {
        let mut pairs: BTreeMap<_, _> = SLIDE.into_iter().collect();
        pairs.insert(key, value);
        parse(&pairs.into_iter().collect::<Vec<_>>()).unwrap_err()
    };
    insta::assert_json_snapshot!([
        with("endpoint", ""),
        with("endpoint", "s3.example.com"),
        with("endpoint", "http://user:pw@s3"),
        with("type", "S3"),
        with("type", "OBC"),
        with("readonly", "yes"),
        with("buckett", "x"),
        with("secretAccessKey", ""),
        parse(&[("type", "NFS"), ("server", "nfs"), ("share", "a/../b")]).unwrap_err(),
        parse(&[("type", "HOST"), ("path", "/data/../etc")]).unwrap_err(),
        parse(&[
            ("type", "HOST"),
            ("path", "/data"),
            ("hostPathType", "File")
        ])
        .unwrap_err(),
        Source::parse(&DatasetSpec::default(), &BTreeMap::new(), "ns")
            .unwrap_err()
            .to_string(),
    ]);
}

#[test]
fn an_endpoint_has_a_port_that_exists_or_none() {
    let with = |endpoint: &str| {
        let mut pairs: BTreeMap<_, _> = SLIDE.into_iter().collect();
        pairs.insert("endpoint", endpoint);
        parse(&pairs.into_iter().collect::<Vec<_>>())
    };
    for good in [
        "http://s3",
        "https://s3:1/",
        "http://s3:65535",
        "http://s3:08333",
        "http://[2001:db8::1]",
        "http://[2001:db8::1]:9000/",
    ] {
        assert!(with(good).is_ok(), "{good}");
    }
    for wrong in [
        "http://s3:0",
        "http://s3:65536",
        "http://s3:99999999999999999999",
        "http://s3:",
        "http://s3:+80",
        "http://s3:http",
        "http://:80",
        "http://[2001:db8::1]:0",
    ] {
        let error = with(wrong).unwrap_err();
        assert!(
            error.contains("spec.local.endpoint") && error.contains(wrong),
            "{error}"
        );
        assert!(error.contains("from 1 to 65535"), "{error}");
    }
}

#[test]
fn the_root_of_a_node_is_no_dataset_and_that_of_a_server_is() {
    for root in ["/", "//", "///"] {
        let error = parse(&[("type", "HOST"), ("path", root)]).unwrap_err();
        assert!(
            error.contains("spec.local.path") && error.contains(root),
            "{error}"
        );
    }
    let Ok(Source::HostPath(directory)) = parse(&[("type", "HOST"), ("path", "/data/")]) else {
        panic!()
    };
    assert_eq!(directory.path, "/data");
    let share = |share| parse(&[("type", "NFS"), ("server", "nfs"), ("share", share)]);
    assert!(share("/").is_ok());
    assert!(share("//").unwrap_err().contains("spec.local.share"));
}
