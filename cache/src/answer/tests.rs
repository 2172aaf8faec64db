use http::HeaderName;

use super::*;
use crate::origin::Origin;

fn request(method: Method, of_bucket: bool) -> Request {
    let origin = Origin {
        endpoint: "http://s3".parse().unwrap(),
        bucket: "b".into(),
        prefix: String::new(),
        region: String::new(),
        keys: None,
        ca_pem: None,
        shards: None,
    };
    if of_bucket {
        Request::bucket(&origin, method, &[])
    } else {
        Request::object(&origin, method, "k", &[])
    }
}

fn now() -> Timestamp {
    "2026-11-24T02:31:00Z".parse().unwrap()
}

fn judged(request: &Request, status: u16, headers: &[(&str, &str)], code: &str) -> Verdict {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    let error = xml::ErrorBody {
        code: code.to_owned(),
        region: None,
    };
    verdict(
        request,
        StatusCode::from_u16(status).unwrap(),
        &headers,
        &error,
        now(),
    )
}

fn failed(method: Method, of_bucket: bool, status: u16, code: &str) -> ErrorKind {
    match judged(&request(method, of_bucket), status, &[], code) {
        Verdict::Failed(failure) => failure.kind,
        verdict => panic!("{verdict:?}"),
    }
}

#[test]
fn codes_decide_and_statuses_stand_in_for_them() {
    let get = |status, code| failed(Method::GET, false, status, code);
    assert_eq!(get(404, "NoSuchKey"), ErrorKind::NotFound);
    assert_eq!(get(404, "NoSuchBucket"), ErrorKind::NoSuchBucket);
    assert_eq!(get(403, "AccessDenied"), ErrorKind::AccessDenied);
    assert_eq!(get(403, "InvalidAccessKeyId"), ErrorKind::KeysRejected);
    assert_eq!(get(403, "SignatureDoesNotMatch"), ErrorKind::KeysRejected);
    assert_eq!(get(400, "ExpiredToken"), ErrorKind::KeysExpired);
    assert_eq!(get(400, "InvalidToken"), ErrorKind::KeysExpired);
    assert_eq!(get(400, "TokenRefreshRequired"), ErrorKind::KeysExpired);
    assert_eq!(get(412, ""), ErrorKind::PreconditionFailed);
    assert_eq!(get(416, "InvalidRange"), ErrorKind::RangeNotSatisfiable);
    assert_eq!(get(503, "SlowDown"), ErrorKind::SlowDown);
    assert_eq!(get(429, ""), ErrorKind::SlowDown);
    assert_eq!(get(500, "Whatever"), ErrorKind::SourceFailing(500));
    assert_eq!(get(507, ""), ErrorKind::NoSpace);
    assert_eq!(get(501, ""), ErrorKind::Unsupported);
    assert_eq!(get(418, ""), ErrorKind::UnexpectedStatus(418));
    assert_eq!(get(403, "RequestTimeTooSkewed"), ErrorKind::ClockSkew);
    assert_eq!(get(403, "InvalidObjectState"), ErrorKind::Archived);
    assert_eq!(get(400, "KeyTooLongError"), ErrorKind::KeyTooLong);
    assert!(get(400, "XAmzContentSHA256Mismatch").may_pass());
}

#[test]
fn what_is_wrong_with_a_bucket_or_its_address_is_told_apart() {
    let get = |status, code| failed(Method::GET, true, status, code);
    assert_eq!(get(404, "NoSuchBucket"), ErrorKind::NoSuchBucket);
    // `https://BUCKET.s3.example.com/BUCKET` is a key of the bucket.
    assert_eq!(get(404, "NoSuchKey"), ErrorKind::BucketInEndpoint);
    assert_eq!(
        get(403, "SecondLevelDomainForbidden"),
        ErrorKind::PathStyleRefused
    );
    let put = |code| failed(Method::PUT, true, 400, code);
    assert_eq!(put("InvalidBucketName"), ErrorKind::InvalidBucketName);
    assert_eq!(put("InvalidLocationConstraint"), ErrorKind::InvalidRegion);
    assert_eq!(put("TooManyBuckets"), ErrorKind::NoSpace);
}

#[test]
fn answers_without_a_body_are_judged_by_what_was_asked() {
    assert_eq!(failed(Method::HEAD, false, 404, ""), ErrorKind::NotFound);
    assert_eq!(failed(Method::HEAD, true, 404, ""), ErrorKind::NoSuchBucket);
    assert_eq!(
        failed(Method::HEAD, false, 403, ""),
        ErrorKind::AccessDenied
    );
    // Some web server: an S3 store says what is missing.
    assert_eq!(
        failed(Method::GET, true, 404, ""),
        ErrorKind::UnexpectedStatus(404)
    );
}

#[test]
fn another_region_is_a_correction() {
    let get = request(Method::GET, false);
    let headers = [("x-amz-bucket-region", "eu-west-1")];
    let region = Verdict::Region("eu-west-1".to_owned());
    assert_eq!(judged(&get, 301, &headers, "PermanentRedirect"), region);
    assert_eq!(
        judged(&get, 400, &headers, "AuthorizationHeaderMalformed"),
        region
    );
    assert_eq!(
        judged(&request(Method::HEAD, false), 400, &headers, ""),
        region
    );
    // What is no region's name does not get into a signature.
    let headers = [("x-amz-bucket-region", "a/b c")];
    assert!(matches!(
        judged(&get, 301, &headers, ""),
        Verdict::Failed(_)
    ));
}

#[test]
fn the_servers_clock_is_a_correction() {
    let date = ("date", "Tue, 24 Nov 2026 03:31:00 GMT");
    let clock = Verdict::Clock("2026-11-24T03:31:00Z".parse().unwrap());
    let get = request(Method::GET, false);
    assert_eq!(judged(&get, 403, &[date], "RequestTimeTooSkewed"), clock);
    // An answer to HEAD has no code; its date must do.
    let head = request(Method::HEAD, false);
    assert_eq!(judged(&head, 403, &[date], ""), clock);
    let near = ("date", "Tue, 24 Nov 2026 02:32:00 GMT");
    assert_eq!(
        judged(&head, 403, &[near], ""),
        Verdict::Failed(ErrorKind::AccessDenied.into())
    );
}

#[test]
fn redirects_lead_somewhere_or_are_refused() {
    let get = request(Method::GET, false);
    let to = [("location", "http://node/b/k")];
    let location = "http://node/b/k".to_owned();
    assert_eq!(
        judged(&get, 307, &to, ""),
        Verdict::Redirect {
            location,
            region: None
        }
    );
    let both = [to[0], ("x-amz-bucket-region", "eu-west-1")];
    let Verdict::Redirect { region, .. } = judged(&get, 307, &both, "TemporaryRedirect") else {
        panic!("a region that comes with an address does not replace it")
    };
    assert_eq!(region.as_deref(), Some("eu-west-1"));
    assert_eq!(
        judged(&get, 307, &[], ""),
        Verdict::Failed(ErrorKind::RedirectRefused("to nowhere").into())
    );
}

#[test]
fn success_may_hide_a_failure() {
    let failure = |kind, word| {
        let code = Code::of(word);
        Some(Failure { kind, code })
    };
    let body = b"<?xml version=\"1.0\"?><Error><Code>SlowDown</Code></Error>";
    assert_eq!(late_failure(body), failure(ErrorKind::SlowDown, "SlowDown"));
    let body = b"<Error><Code>Odd</Code></Error>";
    assert_eq!(
        late_failure(body),
        failure(ErrorKind::SourceFailing(500), "Odd")
    );
    assert_eq!(late_failure(b"<CopyObjectResult/>"), None);
}

#[test]
fn the_servers_own_word_is_kept_where_it_can_be_shown_anywhere() {
    let put = request(Method::PUT, false);
    let word = |code: &str| match judged(&put, 403, &[], code) {
        Verdict::Failed(failure) => failure.code,
        verdict => panic!("{verdict:?}"),
    };
    assert_eq!(word("QuotaExceeded"), Code::of("QuotaExceeded"));
    assert!(word("QuotaExceeded").is_some());
    for no_word in ["", "two words", "é", "\u{1b}[2J", &"A".repeat(65)] {
        assert_eq!(word(no_word), None, "{no_word}");
    }
}
