//! Signature Version 4 for S3, as AWS publishes it ("Authenticating Requests: Using the
//! Authorization Header").
//!
//! Our own lines over `ring` instead of `aws-sigv4`: the algorithm is four HMACs over one string,
//! while that crate brings a runtime, its own HTTP types and a second hash implementation (`sha2`
//! without ring's assembly) into the path of every request. The tests hold AWS's own examples.

use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, InvalidHeaderValue};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use ring::{digest, hmac};

use crate::object::Payload;
use crate::origin::Keys;
use crate::url::Url;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "s3";
const TERMINATOR: &str = "aws4_request";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// What stands for the body in a signature.
#[derive(Debug)]
pub(crate) enum PayloadHash {
    /// The body is covered by TLS.
    Unsigned,
    /// The body is covered by the signature: anybody on the way could change it otherwise.
    Sha256(String),
}

impl PayloadHash {
    /// Hashing costs about 0.6 CPU seconds per GB, so it is done only where nothing else protects.
    pub(crate) fn of(payload: &Payload, https: bool) -> Self {
        if https && !payload.is_empty() {
            return Self::Unsigned;
        }
        let mut hash = digest::Context::new(&digest::SHA256);
        for piece in &payload.pieces {
            hash.update(piece);
        }
        Self::Sha256(hex::encode(hash.finish()))
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Unsigned => "UNSIGNED-PAYLOAD",
            Self::Sha256(hash) => hash,
        }
    }
}

/// Who signs, for where, and when.
pub(crate) struct Signer<'a> {
    pub(crate) keys: &'a Keys,
    pub(crate) region: &'a str,
    pub(crate) now: Timestamp,
    /// Which headers, beside those that are added.
    pub(crate) is_signed: fn(&str) -> bool,
}

/// Adds the headers that sign `method`, `url` and those headers that are there already.
pub(crate) fn sign(
    method: &Method,
    url: &Url,
    headers: &mut HeaderMap,
    payload: &PayloadHash,
    signer: &Signer<'_>,
) -> Result<(), InvalidHeaderValue> {
    let Signer {
        keys,
        region,
        now,
        is_signed,
    } = *signer;
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = now.strftime("%Y%m%d").to_string();
    headers.insert(HOST, HeaderValue::from_str(&url.host_header())?);
    headers.insert(DATE, HeaderValue::from_str(&time)?);
    headers.insert(CONTENT_SHA256, HeaderValue::from_str(payload.as_str())?);
    if let Some(token) = &keys.session_token {
        let mut token = HeaderValue::from_str(token)?;
        token.set_sensitive(true);
        headers.insert(SECURITY_TOKEN, token);
    }
    let (names, lines) = canonical_headers(headers, is_signed);
    let request = format!(
        "{method}\n{}\n{}\n{lines}\n{names}\n{}",
        url.path,
        url.query,
        payload.as_str()
    );
    let scope = format!("{date}/{region}/{SERVICE}/{TERMINATOR}");
    let digest = hex::encode(digest::digest(&digest::SHA256, request.as_bytes()));
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{digest}");
    let signature = hex::encode(hmac(signing_key(keys, &date, region).as_ref(), &to_sign));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope},SignedHeaders={names},Signature={signature}",
        keys.access_key_id
    );
    let mut authorization = HeaderValue::from_str(&authorization)?;
    authorization.set_sensitive(true);
    headers.insert(AUTHORIZATION, authorization);
    Ok(())
}

/// Whether a header is to be part of the signature. S3 asks for that of `host` and `x-amz-*` only, and HTTP
/// caches between us and a source ask it for whole objects and without conditions. What encodings are
/// accepted proxies say for themselves, Google's own among them.
pub(crate) fn survives_caches(name: &str) -> bool {
    !(name == "range" || name == "accept-encoding" || name.starts_with("if-"))
}

/// The names of those headers that are signed joined by `;`, and their lines, both in the order of
/// the names.
fn canonical_headers(headers: &HeaderMap, is_signed: fn(&str) -> bool) -> (String, String) {
    let mut pairs: Vec<(&str, &HeaderValue)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .filter(|(name, _)| is_signed(name))
        .collect();
    pairs.sort_unstable_by_key(|(name, _)| *name);
    let mut names = String::new();
    let mut lines = String::new();
    for (name, value) in pairs {
        if !names.is_empty() {
            names.push(';');
        }
        names.push_str(name);
        lines.push_str(name);
        lines.push(':');
        push_words(&String::from_utf8_lossy(value.as_bytes()), &mut lines);
        lines.push('\n');
    }
    (names, lines)
}

/// A header's value with single spaces, as both sides of a signature write it.
fn push_words(value: &str, line: &mut String) {
    let mut words = value.split_ascii_whitespace();
    line.extend(words.next());
    for word in words {
        line.push(' ');
        line.push_str(word);
    }
}

fn signing_key(keys: &Keys, date: &str, region: &str) -> hmac::Tag {
    let secret = format!("AWS4{}", keys.secret_access_key);
    let date = hmac(secret.as_bytes(), date);
    let region = hmac(date.as_ref(), region);
    let service = hmac(region.as_ref(), SERVICE);
    hmac(service.as_ref(), TERMINATOR)
}

fn hmac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// One of AWS's examples: `https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html`.
    fn signature(
        method: &Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> String {
        signature_of(|_| true, method, url, headers, body)
    }

    fn signature_of(
        is_signed: fn(&str) -> bool,
        method: &Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> String {
        let keys = Keys {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
        };
        let url = Url::absolute(&url.parse().unwrap()).unwrap();
        let mut map: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        let hash = PayloadHash::of(&Payload::from(Bytes::from_static(body.as_bytes())), false);
        let now = "2013-05-24T00:00:00Z".parse().unwrap();
        let signer = Signer {
            keys: &keys,
            region: "us-east-1",
            now,
            is_signed,
        };
        sign(method, &url, &mut map, &hash, &signer).unwrap();
        let authorization = map[AUTHORIZATION].to_str().unwrap().to_owned();
        authorization
            .rsplit_once("Signature=")
            .unwrap()
            .1
            .to_owned()
    }

    #[test]
    fn what_caches_change_on_the_way_is_not_signed() {
        let url = "https://examplebucket.s3.amazonaws.com/test.txt";
        let signature = |headers: &[(&str, &str)]| {
            signature_of(survives_caches, &Method::GET, url, headers, "")
        };
        let plain = signature(&[]);
        let changed = [
            ("range", "bytes=0-9"),
            ("if-match", "\"1\""),
            ("accept-encoding", "identity"),
        ];
        assert_eq!(signature(&changed), plain);
        let owned = [("x-amz-copy-source-if-match", "\"1\"")];
        assert_ne!(signature(&owned), plain);
    }

    #[test]
    fn a_session_token_is_sent_and_signed_and_printed_nowhere() {
        let keys = Keys {
            access_key_id: "AK".into(),
            secret_access_key: "secret".into(),
            session_token: Some("hush".into()),
        };
        let url = Url::absolute(&"https://s3.example.com/b".parse().unwrap()).unwrap();
        let (mut headers, hash) = (HeaderMap::new(), PayloadHash::Unsigned);
        let signer = Signer {
            keys: &keys,
            region: "us-east-1",
            now: Timestamp::UNIX_EPOCH,
            is_signed: survives_caches,
        };
        sign(&Method::GET, &url, &mut headers, &hash, &signer).unwrap();
        assert_eq!(headers[SECURITY_TOKEN], "hush");
        let said = headers[AUTHORIZATION].to_str().unwrap();
        let names = "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,";
        assert!(said.contains(names), "{said}");
        assert!(!format!("{headers:?}").contains("hush"));
    }

    #[test]
    fn a_value_is_signed_with_single_spaces() {
        let url = "https://examplebucket.s3.amazonaws.com/test.txt";
        let signature = |value| signature(&Method::GET, url, &[("x-amz-meta-a", value)], "");
        assert_eq!(signature("  a   b\tc "), signature("a b c"));
        assert_ne!(signature("ab c"), signature("a b c"));
    }

    #[test]
    fn signs_as_aws_publishes_it() {
        let host = "https://examplebucket.s3.amazonaws.com";
        assert_eq!(
            signature(
                &Method::GET,
                &format!("{host}/test.txt"),
                &[("range", "bytes=0-9")],
                ""
            ),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        assert_eq!(
            signature(
                &Method::PUT,
                &format!("{host}/test%24file.text"),
                &[
                    ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                    ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ],
                "Welcome to Amazon S3.",
            ),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
        assert_eq!(
            signature(&Method::GET, &format!("{host}/?lifecycle"), &[], ""),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
        assert_eq!(
            signature(
                &Method::GET,
                &format!("{host}/?prefix=J&max-keys=2"),
                &[],
                ""
            ),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }
}
