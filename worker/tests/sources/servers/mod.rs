mod gateway;

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use dlf_tests::settings;
use dlf_wire::dataset::v1::{Keys, Origin};

pub(crate) use gateway::{Instead, LISTED, MADE_AGAIN, NOT_IMPLEMENTED, gateway};

/// The S3 server, or a note that `test` is skipped.
pub(crate) fn s3(test: &str) -> Option<Origin> {
    let found = || {
        let keys = Keys {
            access_key_id: settings().find("S3_KEY")?,
            secret_access_key: settings().find("S3_SECRET")?,
            ..Keys::default()
        };
        let endpoint = settings().find("S3_ENDPOINT")?;
        Some(Origin {
            endpoint,
            keys: Some(keys),
            ..Origin::default()
        })
    };
    let origin = found();
    if origin.is_none() {
        println!("SKIPPED {test}: no S3 server (run make cluster)");
    }
    origin
}

/// Has a bucket keep versions from now on: nothing that a task ever asks for.
pub(crate) fn keep_versions(origin: &Origin) {
    let keys = origin.keys.as_ref().unwrap();
    let keys = format!("{}:{}", keys.access_key_id, keys.secret_access_key);
    let body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let asked = Command::new("curl")
        .args(["-sS", "--fail", "--aws-sigv4", "aws:amz:us-east-1:s3"])
        .args(["--user", &keys, "-X", "PUT", "--data", body])
        .args(["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
        .arg(format!("{}/{}?versioning=", origin.endpoint, origin.bucket))
        .status();
    assert!(asked.unwrap().success());
}

/// The NFS server and its share, or a note that `test` is skipped.
pub(crate) fn nfs(test: &str) -> Option<(String, String)> {
    let found = settings()
        .find("NFS_SERVER")
        .zip(settings().find("NFS_SHARE"));
    if found.is_none() {
        println!("SKIPPED {test}: no NFS server (run make cluster)");
    }
    found
}

/// A bucket's name that nothing else has.
pub(crate) fn unique(word: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("worker-{word}-{}-{}", std::process::id(), now.as_millis())
}
