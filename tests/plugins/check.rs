//! `kubectl dlf plugin check --cluster`, as an author runs it.

use std::{fs, process::Command};

use dlf_tests::{
    Bucket, LONG_LIMIT, contains, dataset_with_secret, keys, run_within, settings, unique,
};

use crate::installed::with_plugins;

const STEPS: [&str; 8] = [
    "create",
    "plan",
    "read through",
    "edit",
    "rotate",
    "crash",
    "withdraw",
    "delete",
];

#[test]
fn an_installed_plugin_passes_all_of_the_check() {
    if !with_plugins() {
        return;
    }
    let bucket = Bucket::new("check");
    bucket.put("part-0.bin", &vec![7; 3_000_000]);
    let directory = std::env::temp_dir().join(unique("dlf-check"));
    fs::create_dir(&directory).unwrap();
    let file = |name: &str, key: &str, secret: &str| {
        let (key, secret) = (settings().get(key), settings().get(secret));
        let secret = keys("my-keys", &key, &secret);
        let manifest = dataset_with_secret("books", &bucket.name, "my-keys");
        let path = directory.join(name);
        fs::write(&path, format!("{manifest}---\n{secret}")).unwrap();
        path
    };
    let first = file("dataset.yaml", "S3_KEY", "S3_SECRET");
    let rotated = file("rotated.yaml", "S3_READER_KEY", "S3_READER_SECRET");
    // Built with the plugins, and beside this test's own directory.
    let program = std::env::current_exe().unwrap();
    let mut check = Command::new(program.ancestors().nth(2).unwrap().join("kubectl-dlf"));
    check
        .args(["plugin", "check", "--cluster", "nginx", "--kubeconfig"])
        .arg(settings().get("KUBECONFIG"))
        .args(["--image", &settings().get("TEST_IMAGE"), "-f"])
        .args([first.as_path(), "--rotated".as_ref(), &rotated]);
    let report = run_within(LONG_LIMIT, &check, b"");
    fs::remove_dir_all(&directory).unwrap();
    let report = report.expect_ok();
    for step in STEPS {
        contains(&report, &format!("ok      {step}: ")).unwrap();
    }
    contains(&report, "8 passed, 0 failed").unwrap();
    println!("{report}");
}
