//! The keys each type of `spec.local` takes besides `type`.

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
