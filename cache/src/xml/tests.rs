use super::*;
use crate::object::Part;

#[test]
fn a_listing_gives_relative_decoded_keys() {
    let body = br#"<?xml version="1.0" encoding="UTF-8"?>
        <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
          <Name>b</Name><Prefix>p%2F</Prefix><EncodingType>url</EncodingType>
          <IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b</NextContinuationToken>
          <Contents><Key>p%2Fa+b%2Bc</Key><LastModified>2026-11-24T02:31:00.000Z</LastModified>
            <ETag>&quot;abc&quot;</ETag><Size>5</Size><Owner><ID>x</ID></Owner></Contents>
          <CommonPrefixes><Prefix>p%2Fd%2F</Prefix></CommonPrefixes>
          <Contents><Key>p/%C3%BC</Key><ETag>d</ETag><Size>0</Size></Contents>
        </ListBucketResult>"#;
    let page = list_page(body, "p/").unwrap();
    assert_eq!(page.next.as_deref(), Some("a&b"));
    assert_eq!(page.common_prefixes, ["d/"]);
    let keys: Vec<_> = page
        .objects
        .iter()
        .map(|object| object.key.as_str())
        .collect();
    assert_eq!(keys, ["a b+c", "ü"]);
    assert_eq!(page.objects[0].etag, ETag::from_wire("abc"));
    assert!(page.objects[0].last_modified.is_some());
    assert_eq!(page.objects[1].last_modified, None);
}

#[test]
fn keys_that_are_not_encoded_stay_as_they_are() {
    for encoding in ["", "<EncodingType/>", "<EncodingType></EncodingType>"] {
        let key = "<Key>a+b%20&amp;</Key>";
        let body = format!(
            "<ListBucketResult>{encoding}<Contents>{key}<ETag>x</ETag><Size>1</Size></Contents></ListBucketResult>"
        );
        let page = list_page(body.as_bytes(), "").unwrap();
        assert_eq!(page.objects[0].key, "a+b%20&", "{encoding}");
        let body = format!(
            "<ListMultipartUploadsResult>{encoding}<Upload>{key}<UploadId>1</UploadId></Upload></ListMultipartUploadsResult>"
        );
        let page = upload_page(body.as_bytes(), "").unwrap();
        assert_eq!(page.uploads[0].key, "a+b%20&", "{encoding}");
        let body = format!(
            "<ListVersionsResult>{encoding}<Version>{key}<VersionId>1</VersionId></Version></ListVersionsResult>"
        );
        let page = version_page(body.as_bytes(), "").unwrap();
        assert_eq!(page.versions[0].key, "a+b%20&", "{encoding}");
    }
}

#[test]
fn spaces_that_kept_a_connection_belong_to_no_answer() {
    let result = "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>";
    for before in [
        "  \n ",
        "<?xml version=\"1.0\"?>\n   ",
        "  <?xml version=\"1.0\"?>\n   ",
    ] {
        let body = format!("{before}{result}");
        let etag = new_etag(body.as_bytes(), "CompleteMultipartUploadResult");
        assert_eq!(etag, Ok(ETag::from_wire("x")), "{before:?}");
    }
}

#[test]
fn a_listing_that_lies_is_refused() {
    for body in [
        "<html><body>hello</body></html>",
        "not XML",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><Contents><Key>other/x</Key><ETag>x</ETag><Size>1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>p/x</Key><ETag>x</ETag><Size>-1</Size></Contents></ListBucketResult>",
    ] {
        assert!(list_page(body.as_bytes(), "p/").is_err(), "{body}");
    }
}

#[test]
fn errors_are_told_from_answers() {
    let body =
        b"<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>m</Message></Error>";
    assert!(is_error(body));
    assert_eq!(error(body).code, "InternalError");
    assert!(is_error(b" <Error xmlns='x'><Code>A</Code></Error>"));
    assert!(!is_error(
        b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>"
    ));
    assert!(!is_error(b"<?xml"));
    assert!(!is_error(b""));
    assert_eq!(error(b"<html>"), ErrorBody::default());
}

#[test]
fn an_error_names_its_region() {
    let body =
        b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>";
    assert_eq!(error(body).region.as_deref(), Some("eu-west-1"));
}

#[test]
fn requests_are_escaped() {
    let identifiers = [("a<b>&\"c".to_owned(), None), ("ü".to_owned(), Some("1&2"))];
    let body = delete(identifiers.into_iter());
    for part in [
        "<Object><Key>a&lt;b&gt;&amp;&quot;c</Key></Object>",
        "<Object><Key>ü</Key><VersionId>1&amp;2</VersionId></Object>",
    ] {
        assert!(body.contains(part), "{body}");
    }
    assert!(can_hold("a b+ü/\u{1F600}"));
    for key in ["a\nb", "a\rb", "\u{1}", "a\u{7f}", "\u{FFFE}"] {
        assert!(!can_hold(key), "{key:?}");
    }
    let part = Part {
        number: 7,
        size: 1,
        etag: ETag::from_wire("\"e\""),
    };
    assert!(
        complete(&[part])
            .contains("<Part><PartNumber>7</PartNumber><ETag>&quot;e&quot;</ETag></Part>")
    );
}

#[test]
fn tags_survive_the_way_there_and_back() {
    let tags = vec![
        ("dlf.dev/a".to_owned(), "x & y".to_owned()),
        ("b".to_owned(), String::new()),
    ];
    assert_eq!(super::tags(tagging(&tags).as_bytes()).unwrap(), tags);
    assert_eq!(super::tags(b"<Tagging><TagSet/></Tagging>").unwrap(), []);
}

#[test]
fn failed_deletions_are_read() {
    let body = b"<DeleteResult><Error><Key>p/a</Key><Code>AccessDenied</Code><Message>m</Message></Error></DeleteResult>";
    assert_eq!(
        delete_failures(body).unwrap(),
        [("p/a".to_owned(), "AccessDenied".to_owned())]
    );
    assert_eq!(delete_failures(b"<DeleteResult/>").unwrap(), []);
}

#[test]
fn a_copy_tells_its_version_and_perhaps_its_time() {
    let body = b"<CopyObjectResult><LastModified>2026-11-24T02:31:00.000Z</LastModified>
        <ETag>&quot;abc&quot;</ETag></CopyObjectResult>";
    let copy = copied(body).unwrap();
    assert_eq!(copy.etag, ETag::from_wire("abc"));
    let time: Timestamp = "2026-11-24T02:31:00Z".parse().unwrap();
    assert_eq!(copy.last_modified, Some(time.into()));
    let body = b"<CopyObjectResult><ETag>abc</ETag></CopyObjectResult>";
    assert_eq!(copied(body).unwrap().last_modified, None);
    assert!(copied(b"<CopyObjectResult/>").is_err());
}

#[test]
fn uploads_are_read() {
    let body = b"<ListMultipartUploadsResult><EncodingType>url</EncodingType>
        <IsTruncated>false</IsTruncated><Upload><Key>p/a%20b</Key><UploadId>1-2</UploadId>
        <Initiated>2026-11-24T02:31:00Z</Initiated></Upload></ListMultipartUploadsResult>";
    let page = upload_page(body, "p/").unwrap();
    assert_eq!(
        (page.uploads[0].key.as_str(), page.uploads[0].id.as_str()),
        ("a b", "1-2")
    );
    assert!(page.uploads[0].initiated.is_some());
}

#[test]
fn versions_and_marks_of_deletion_are_read_alike() {
    let body =
        b"<ListVersionsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
        <NextKeyMarker>p/b%20c</NextKeyMarker><NextVersionIdMarker>v2</NextVersionIdMarker>
        <Version><Key>p/a+b</Key><VersionId>v1</VersionId><ETag>x</ETag><Size>1</Size></Version>
        <DeleteMarker><Key>p/b%20c</Key><VersionId>v2</VersionId></DeleteMarker>
        <Version><Key>p/d</Key><ETag>x</ETag></Version></ListVersionsResult>";
    let page = version_page(body, "p/").unwrap();
    let versions: Vec<_> = page
        .versions
        .iter()
        .map(|version| (version.key.as_str(), version.id.as_str()))
        .collect();
    assert_eq!(versions, [("a b", "v1"), ("d", "null"), ("b c", "v2")]);
    let next = page.next.unwrap();
    assert_eq!(
        (next.key.as_str(), next.id.as_deref()),
        ("p/b c", Some("v2"))
    );
}

#[test]
fn a_listing_of_another_kind_is_none_of_versions() {
    for body in [
        "<ListBucketResult><Contents><Key>a</Key><ETag>x</ETag><Size>1</Size></Contents></ListBucketResult>",
        "<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>",
        "<ListVersionsResult><Version><Key>q/a</Key></Version></ListVersionsResult>",
    ] {
        assert!(version_page(body.as_bytes(), "p/").is_err(), "{body}");
    }
}

#[test]
fn entities_are_not_expanded() {
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
    let listing = |key: &str| {
        format!(
            "<ListBucketResult><Contents><Key>{key}</Key><ETag>x</ETag><Size>1</Size></Contents></ListBucketResult>"
        )
    };
    assert!(list_page(listing("a").as_bytes(), "").is_ok());
    for body in [format!("{bomb}{}", listing("&b;")), listing("&b;")] {
        assert!(list_page(body.as_bytes(), "").is_err(), "{body}");
    }
    let body = format!("{bomb}<Error><Code>&b;</Code></Error>");
    assert_eq!(error(body.as_bytes()), ErrorBody::default());
}
