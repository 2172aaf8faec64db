use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use dlf_wire::dataset::v1::{Keys, Origin};

/// What `make cluster` wrote of `name`, unless the environment says otherwise.
fn setting(name: &str) -> Option<String> {
    if let Ok(value) = std::env::var(name) {
        return Some(value);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/cluster/cluster.env");
    let text = std::fs::read_to_string(file).ok()?;
    let values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values.map(str::to_owned).next_back()
}

/// The S3 server, or a note that `test` is skipped.
pub(crate) fn s3(test: &str) -> Option<Origin> {
    let found = || {
        let keys = Keys {
            access_key_id: setting("S3_KEY")?,
            secret_access_key: setting("S3_SECRET")?,
            ..Keys::default()
        };
        let endpoint = setting("S3_ENDPOINT")?;
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

/// The NFS server and its share, or a note that `test` is skipped.
pub(crate) fn nfs(test: &str) -> Option<(String, String)> {
    let found = setting("NFS_SERVER").zip(setting("NFS_SHARE"));
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
