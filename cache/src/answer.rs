//! What a server's answer means: success, something to correct and ask again, or a failure.

use http::header::{DATE, ETAG, HeaderMap, LOCATION};
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout_at};

use crate::error::{Code, ErrorKind, Failure};
use crate::object::ETag;
use crate::origin::is_region;
use crate::request::Request;
use crate::xml;

/// More than any S3 error, less than what a hostile server could make us hold.
const ERROR_BODY_BYTES_MAX: usize = 64 * 1024;

/// Servers refuse requests more than 15 minutes off; answers may take a while.
const SKEW_TOLERATED: SignedDuration = SignedDuration::from_mins(10);

/// What an answer that is no success asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Sign for this region.
    Region(String),
    /// Sign by the server's clock, which shows this.
    Clock(Timestamp),
    /// Ask there, signing for that region if one is named.
    Redirect {
        location: String,
        region: Option<String>,
    },
    /// There is nothing to correct.
    Failed(Failure),
}

/// Judges an answer that is no success. `now` is the time the request was signed with; the rest of
/// the answer is waited for until `end`.
pub(crate) async fn judge(
    request: &Request,
    response: Response<Incoming>,
    now: Timestamp,
    end: Instant,
) -> Verdict {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, ERROR_BODY_BYTES_MAX).collect();
    let body = match timeout_at(end, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        // The status has come and is enough.
        Ok(Err(_)) | Err(_) => bytes::Bytes::new(),
    };
    verdict(
        request,
        parts.status,
        &parts.headers,
        &xml::error(&body),
        now,
    )
}

fn verdict(
    request: &Request,
    status: StatusCode,
    headers: &HeaderMap,
    error: &xml::ErrorBody,
    now: Timestamp,
) -> Verdict {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let code = error.code.as_str();
    let region = text("x-amz-bucket-region").or(error.region.as_deref());
    let region = region.filter(|name| is_region(name)).map(str::to_owned);
    if let (Some(location), true) = (text(LOCATION.as_str()), status.is_redirection()) {
        return Verdict::Redirect {
            location: location.to_owned(),
            region,
        };
    }
    let misdirected = status.is_redirection()
        || matches!(
            code,
            "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException"
        )
        || (status == StatusCode::BAD_REQUEST && request.method == Method::HEAD);
    if let (Some(region), true) = (region, misdirected) {
        return Verdict::Region(region);
    }
    if status.is_redirection() {
        return Verdict::Failed(ErrorKind::RedirectRefused("to nowhere").into());
    }
    let server_time = text(DATE.as_str()).and_then(parse_http_date);
    let bodiless_refusal = status == StatusCode::FORBIDDEN && request.method == Method::HEAD;
    match server_time {
        Some(time) if code == "RequestTimeTooSkewed" => return Verdict::Clock(time),
        Some(time) if bodiless_refusal && time.duration_since(now).abs() > SKEW_TOLERATED => {
            return Verdict::Clock(time);
        }
        _ => {}
    }
    let kind = match by_code(code) {
        // Asked for a bucket, it looked for an object: the host's name stands for the bucket.
        Some(ErrorKind::NotFound) if code == "NoSuchKey" && request.of_bucket => {
            ErrorKind::BucketInEndpoint
        }
        Some(kind) => kind,
        None => by_status(request, status),
    };
    let code = Code::of(code);
    Verdict::Failed(Failure { kind, code })
}

/// The failure in the body of an answer whose status is success.
pub(crate) fn late_failure(body: &[u8]) -> Option<Failure> {
    let error = xml::is_error(body).then(|| xml::error(body))?;
    let failing = ErrorKind::SourceFailing(StatusCode::INTERNAL_SERVER_ERROR.as_u16());
    Some(Failure {
        kind: by_code(&error.code).unwrap_or(failing),
        code: Code::of(&error.code),
    })
}

/// The codes that S3 servers use, as far as they lead to different actions.
pub(crate) fn by_code(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "NoSuchKey" | "NoSuchVersion" | "NoSuchTagSet" => ErrorKind::NotFound,
        "NoSuchBucket" => ErrorKind::NoSuchBucket,
        "NoSuchUpload" => ErrorKind::NoSuchUpload,
        "BucketAlreadyExists" => ErrorKind::BucketTaken,
        "BucketAlreadyOwnedByYou" => ErrorKind::BucketAlreadyOwned,
        "BucketNotEmpty" => ErrorKind::BucketNotEmpty,
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => ErrorKind::AccessDenied,
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidSecurity"
        | "AuthorizationHeaderMalformed" => ErrorKind::KeysRejected,
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => ErrorKind::KeysExpired,
        "RequestTimeTooSkewed" => ErrorKind::ClockSkew,
        "PreconditionFailed" | "ConditionalRequestConflict" => ErrorKind::PreconditionFailed,
        "InvalidRange" => ErrorKind::RangeNotSatisfiable,
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequests"
        | "RequestLimitExceeded" => ErrorKind::SlowDown,
        "InternalError" | "ServiceUnavailable" | "OperationAborted" => {
            ErrorKind::SourceFailing(StatusCode::SERVICE_UNAVAILABLE.as_u16())
        }
        "RequestTimeout" => ErrorKind::Timeout,
        "EntityTooLarge" | "QuotaExceeded" | "XMinioStorageFull" | "TooManyBuckets" => {
            ErrorKind::NoSpace
        }
        "InvalidBucketName" => ErrorKind::InvalidBucketName,
        "InvalidLocationConstraint" => ErrorKind::InvalidRegion,
        "KeyTooLongError" => ErrorKind::KeyTooLong,
        "InvalidObjectState" => ErrorKind::Archived,
        // Aliyun's and Tencent's words for it.
        "SecondLevelDomainForbidden" | "PathStyleDomainForbidden" => ErrorKind::PathStyleRefused,
        "IncompleteBody" | "BadDigest" | "XAmzContentSHA256Mismatch" => {
            ErrorKind::Unreachable("what was sent did not arrive as it was sent".to_owned())
        }
        "NotImplemented" | "MethodNotAllowed" => ErrorKind::Unsupported,
        _ => return None,
    })
}

/// For answers without a body and for codes that no table holds.
fn by_status(request: &Request, status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::AccessDenied,
        StatusCode::NOT_FOUND if !request.of_bucket => ErrorKind::NotFound,
        StatusCode::NOT_FOUND if request.method == Method::HEAD => ErrorKind::NoSuchBucket,
        StatusCode::PRECONDITION_FAILED => ErrorKind::PreconditionFailed,
        StatusCode::RANGE_NOT_SATISFIABLE => ErrorKind::RangeNotSatisfiable,
        StatusCode::REQUEST_TIMEOUT => ErrorKind::Timeout,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::SlowDown,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::INSUFFICIENT_STORAGE => ErrorKind::NoSpace,
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => ErrorKind::Unsupported,
        status if status.is_server_error() => ErrorKind::SourceFailing(status.as_u16()),
        status => ErrorKind::UnexpectedStatus(status.as_u16()),
    }
}

/// `Tue, 24 Nov 2026 02:31:00 GMT`.
pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text)
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// The version in an answer's headers.
pub(crate) fn etag(headers: &HeaderMap) -> Result<ETag, ErrorKind> {
    let value = headers.get(ETAG).and_then(|value| value.to_str().ok());
    value
        .map(ETag::from_wire)
        .ok_or(ErrorKind::Protocol("its answer has no ETag"))
}

#[cfg(test)]
mod tests;
