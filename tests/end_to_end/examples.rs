//! Every example's README is followed to the letter.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use dlf_tests::{
    Bucket, LONG_LIMIT, Namespace, is_given, kernel_has_nfs, on_our_own_cluster, run, run_within,
    settings, skip,
};

/// The commands of an example: every line of its `sh` blocks.
fn commands(example: &Path) -> String {
    let text = fs::read_to_string(example.join("README.md")).unwrap();
    let blocks = text
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    blocks.collect()
}

/// What an example may need of its surroundings.
const GIVEN: [&str; 6] = [
    "S3_ENDPOINT",
    "S3_KEY",
    "S3_SECRET",
    "S3_TLS_ENDPOINT",
    "NFS_SERVER",
    "NFS_SHARE",
];

fn follow(name: &str) {
    let example = PathBuf::from("../examples").join(name);
    let (namespace, bucket) = (Namespace::new(name), Bucket::new(name));
    bucket.put("hello.txt", b"hello\n");
    let settings = settings();
    let home = std::env::temp_dir().join(format!("dlf-example-{}", namespace.name));
    fs::create_dir_all(&home).unwrap();
    // A kubeconfig whose context is the example's namespace: the README names none.
    let kubeconfig = home.join("config");
    fs::copy(settings.get("KUBECONFIG"), &kubeconfig).unwrap();
    let kubectl = settings.get("KUBECTL");
    let bin = Path::new(&kubectl).parent().unwrap().to_path_buf();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let script = format!(
        "kubectl config set-context --current --namespace={} >/dev/null\n{}",
        namespace.name,
        commands(&example)
    );
    let ca = settings.find("S3_CA_FILE");
    let given = GIVEN.into_iter();
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", &script])
        .current_dir(&example)
        .env("PATH", path)
        .env("KUBECONFIG", &kubeconfig)
        .env("IMAGE", settings.get("TEST_IMAGE"))
        .env("S3_BUCKET", &bucket.name)
        .envs(ca.map(|file| ("S3_CA", base64(&fs::read(file).unwrap()))))
        .envs(given.filter_map(|name| Some((name, settings.find(name)?))));
    let output = run_within(LONG_LIMIT, &bash, b"");
    fs::remove_dir_all(&home).unwrap();
    assert!(
        output.ok,
        "{}{}{}",
        output.text,
        output.error,
        namespace.kubectl(&["get", "dlf,pods,events"]).text
    );
}

fn base64(bytes: &[u8]) -> String {
    run(Command::new("base64").arg("-w0"), bytes).expect_ok()
}

#[test]
fn slide() {
    follow("slide");
}

#[test]
fn configmap() {
    follow("configmap");
}

#[test]
fn several_datasets() {
    follow("several-datasets");
}

#[test]
fn deployment() {
    follow("deployment");
}

#[test]
fn cronjob() {
    follow("cronjob");
}

#[test]
fn private_ca() {
    if is_given(&["S3_CA_FILE", "S3_TLS_ENDPOINT"]) {
        follow("private-ca");
    }
}

#[test]
fn host_path() {
    // There the configuration allows the example's prefix in namespaces called `host-path-…`.
    if on_our_own_cluster("it needs a configuration that allows its prefix") {
        follow("host-path");
    }
}

#[test]
fn nfs() {
    if !kernel_has_nfs() {
        skip("this kernel has no NFS client, so the example's pod would wait for ever");
        return;
    }
    if !is_given(&["NFS_EXPORT_DIR"]) {
        return;
    }
    let file = Path::new(&settings().get("NFS_EXPORT_DIR")).join("hello.txt");
    fs::write(file, "hello\n").unwrap();
    follow("nfs");
}
