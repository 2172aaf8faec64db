//! The bodies of requests.

use quick_xml::escape::escape;

use crate::object::Part;

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Whether `key` survives a journey through XML 1.0: control characters do not.
pub(crate) fn can_hold(key: &str) -> bool {
    let forbidden = |c: char| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}');
    !key.contains(forbidden)
}

/// The body of `DeleteObjects`, of keys or of single versions of them. Every key must be one that
/// XML [`can_hold`].
pub(crate) fn delete<'a>(identifiers: impl Iterator<Item = (String, Option<&'a str>)>) -> String {
    let object = |(key, version): (String, Option<&str>)| {
        let version = version.map(|id| format!("<VersionId>{}</VersionId>", escape(id)));
        let (key, version) = (escape(&key), version.unwrap_or_default());
        format!("<Object><Key>{key}</Key>{version}</Object>")
    };
    let objects = identifiers.map(object).collect::<Vec<_>>().concat();
    format!(r#"<Delete xmlns="{NAMESPACE}"><Quiet>true</Quiet>{objects}</Delete>"#)
}

/// The body of `CompleteMultipartUpload`.
pub(crate) fn complete(parts: &[Part]) -> String {
    let part = |part: &Part| {
        let (number, etag) = (part.number, part.etag.to_wire());
        format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>",
            escape(&etag)
        )
    };
    let parts: String = parts.iter().map(part).collect();
    format!(r#"<CompleteMultipartUpload xmlns="{NAMESPACE}">{parts}</CompleteMultipartUpload>"#)
}

/// The body of `PutBucketTagging`.
pub(crate) fn tagging(tags: &[(String, String)]) -> String {
    let tag = |(key, value): &(String, String)| {
        format!(
            "<Tag><Key>{}</Key><Value>{}</Value></Tag>",
            escape(key),
            escape(value)
        )
    };
    let tags: String = tags.iter().map(tag).collect();
    format!(r#"<Tagging xmlns="{NAMESPACE}"><TagSet>{tags}</TagSet></Tagging>"#)
}

/// The body of `CreateBucket` outside of the default region.
pub(crate) fn location(region: &str) -> String {
    let region = escape(region);
    format!(
        r#"<CreateBucketConfiguration xmlns="{NAMESPACE}"><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"#
    )
}
