use std::{
    io::Write,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::settings;

/// Sends one signed request to the test cluster's S3 with curl; gives the body.
///
/// # Errors
/// The HTTP status or what curl said.
///
/// # Panics
/// When curl cannot be started.
pub fn s3(method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, String> {
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
        .arg(format!("{}/{path}", settings.get("S3_ENDPOINT")));
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
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("curl: {error}"));
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(keys.as_bytes());
    }
    let output = child
        .wait_with_output()
        .unwrap_or_else(|error| panic!("curl: {error}"));
    if let Some(file) = file {
        let _ = std::fs::remove_file(file);
    }
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(format!(
            "{}{}",
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout)
        ))
    }
}

fn temporary(body: &[u8]) -> std::path::PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "dlf-test-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, body).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

/// A bucket of one test; emptied and deleted when dropped.
#[derive(Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
}

impl Bucket {
    /// Makes one whose name begins with `purpose`.
    ///
    /// # Panics
    /// When the S3 server refuses.
    #[must_use]
    pub fn new(purpose: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "{purpose}-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        s3("PUT", &name, b"").unwrap_or_else(|error| panic!("making bucket {name}: {error}"));
        Self { name }
    }

    /// Writes an object.
    ///
    /// # Panics
    /// When the S3 server refuses.
    pub fn put(&self, key: &str, body: &[u8]) {
        s3("PUT", &format!("{}/{key}", self.name), body)
            .unwrap_or_else(|error| panic!("writing {key}: {error}"));
    }

    /// Reads an object.
    ///
    /// # Errors
    /// What the S3 server answered.
    pub fn get(&self, key: &str) -> Result<Vec<u8>, String> {
        s3("GET", &format!("{}/{key}", self.name), b"")
    }

    /// Keys of the bucket, the first thousand.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let listed = s3("GET", &format!("{}?list-type=2", self.name), b"").unwrap_or_default();
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
            let _ = s3("DELETE", &format!("{}/{key}", self.name), b"");
        }
        let _ = s3("DELETE", &self.name, b"");
    }
}
