use std::{
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    command::{LIMIT, run_raw},
    settings,
};

/// Sends one signed request to the test cluster's S3; gives the body.
///
/// # Errors
/// The HTTP status or what curl said.
pub fn s3(method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, String> {
    s3_at(&settings().get("S3_ENDPOINT"), method, path, body)
}

/// Sends one signed request with curl to an S3 that knows the test cluster's keys; gives the body.
///
/// # Errors
/// The HTTP status or what curl said.
///
/// # Panics
/// When curl cannot be started.
pub fn s3_at(endpoint: &str, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, String> {
    let settings = settings();
    let keys = format!(
        "user = \"{}:{}\"\n",
        settings.get("S3_KEY"),
        settings.get("S3_SECRET")
    );
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--max-time",
            "60",
            "--aws-sigv4",
            "aws:amz:us-east-1:s3",
        ])
        .args(["-X", method, "--config", "-"])
        .arg(format!("{endpoint}/{path}"));
    let file = (!body.is_empty()).then(|| temporary(body));
    if let Some(file) = &file {
        // What curl signs of a body is not what it sends.
        command.args(["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
        command
            .arg("--data-binary")
            .arg(format!("@{}", file.display()));
    }
    if method == "HEAD" {
        command.arg("--head");
    }
    let (status, said, error) = run_raw(LIMIT, &command, keys.as_bytes());
    if let Some(file) = file {
        let _ = std::fs::remove_file(file);
    }
    if status.success() {
        Ok(said)
    } else {
        let text = String::from_utf8_lossy;
        Err(format!("{}{}", text(&error), text(&said)))
    }
}

fn temporary(body: &[u8]) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(unique("dlf-test"));
    std::fs::write(&path, body).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

/// A name that begins with `purpose` and that no other test of this machine has.
#[must_use]
pub fn unique(purpose: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{purpose}-{}-{count}", process::id())
}

/// A bucket of one test; emptied and deleted when dropped.
#[derive(Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    endpoint: String,
}

impl Bucket {
    /// Makes one whose name begins with `purpose`.
    #[must_use]
    pub fn new(purpose: &str) -> Self {
        Self::at(&settings().get("S3_ENDPOINT"), &unique(purpose))
    }

    /// Makes one of this name at an S3 that knows the test cluster's keys.
    ///
    /// # Panics
    /// When the S3 server refuses.
    #[must_use]
    pub fn at(endpoint: &str, name: &str) -> Self {
        s3_at(endpoint, "PUT", name, b"")
            .unwrap_or_else(|error| panic!("making bucket {name}: {error}"));
        Self {
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
        }
    }

    fn request(&self, method: &str, rest: &str, body: &[u8]) -> Result<Vec<u8>, String> {
        s3_at(
            &self.endpoint,
            method,
            &format!("{}{rest}", self.name),
            body,
        )
    }

    /// Writes an object.
    ///
    /// # Panics
    /// When the S3 server refuses.
    pub fn put(&self, key: &str, body: &[u8]) {
        self.request("PUT", &format!("/{key}"), body)
            .unwrap_or_else(|error| panic!("writing {key}: {error}"));
    }

    /// Reads an object.
    ///
    /// # Errors
    /// What the S3 server answered.
    pub fn get(&self, key: &str) -> Result<Vec<u8>, String> {
        self.request("GET", &format!("/{key}"), b"")
    }

    /// Deletes an object.
    ///
    /// # Panics
    /// When the S3 server refuses.
    pub fn delete(&self, key: &str) {
        self.request("DELETE", &format!("/{key}"), b"")
            .unwrap_or_else(|error| panic!("deleting {key}: {error}"));
    }

    /// Keys of the bucket, the first thousand.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let listed = self.request("GET", "?list-type=2", b"").unwrap_or_default();
        let text = String::from_utf8_lossy(&listed).into_owned();
        text.split("<Key>")
            .skip(1)
            .filter_map(|rest| rest.split("</Key>").next())
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        for key in self.keys() {
            let _ = self.request("DELETE", &format!("/{key}"), b"");
        }
        let _ = self.request("DELETE", "", b"");
    }
}
