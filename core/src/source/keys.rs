//! The keys each type of `spec.local` takes besides `type`, and those of the Secrets it names.

/// Keys of a COS source.
pub const COS: [&str; 12] = [
    "endpoint",
    "bucket",
    "folder",
    "region",
    "accessKeyID",
    "secretAccessKey",
    "secret-name",
    "secret-namespace",
    "readonly",
    "provision",
    "ca-secret-name",
    "removeOnDelete",
];
/// Keys of an NFS source.
pub const NFS: [&str; 5] = [
    "server",
    "share",
    "createDirPVC",
    "readonly",
    "mountOptions",
];
/// Keys of a HOST source.
pub const HOST: [&str; 4] = ["path", "hostPathType", "permissions", "readonly"];

/// A Secret's key: names the access key.
pub const ACCESS_KEY_ID: &str = "accessKeyID";
/// A Secret's key: signs.
pub const SECRET_ACCESS_KEY: &str = "secretAccessKey";
/// A Secret's key: comes with temporary keys, and is in no other Secret.
pub const SESSION_TOKEN: &str = "sessionToken";

/// Under which names a Secret may have what stands under `key`, ours first. The others are those of the
/// tools that issue keys, which write them as variables or as a file of credentials.
#[must_use]
pub fn names_of(key: &str) -> Vec<&str> {
    let others: &[&str] = match key {
        ACCESS_KEY_ID => &["AWS_ACCESS_KEY_ID", "aws_access_key_id"],
        SECRET_ACCESS_KEY => &["AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"],
        SESSION_TOKEN => &["AWS_SESSION_TOKEN", "aws_session_token"],
        _ => &[],
    };
    [&[key][..], others].concat()
}
