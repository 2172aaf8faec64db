//! Keys, endpoint and CA change beneath a running mount, and nothing is mounted anew.

use std::{fs, process::Command, time::Duration};

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, POD_WITHIN, SLEEP, SecondS3, contains, dataset,
    dataset_with_secret, eventually, is_given, keys, on_our_own_cluster, pod, run, settings,
    source, unique,
};

/// A change of keys, endpoint or CA is in force within this.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(30);

/// A pod with the Dataset `books`, running.
struct User {
    namespace: Namespace,
    mounts: String,
}

impl User {
    fn start(purpose: &str, manifests: &str) -> Self {
        let namespace = Namespace::new(purpose);
        let user = pod("user", "dataset.0.id: books", SLEEP, "");
        let _ = namespace
            .apply(&format!("{manifests}---\n{user}"))
            .expect_ok();
        namespace.wait_ready("user", POD_WITHIN);
        let mut user = Self {
            namespace,
            mounts: String::new(),
        };
        user.mounts = user.mounts_now();
        user.write_until(true);
        user
    }

    fn mounts_now(&self) -> String {
        let script = "grep /mnt/datasets /proc/self/mountinfo";
        self.namespace.exec("user", script).expect_ok()
    }

    /// Writes until it works, or does not: a write always goes to the source, while a read may be
    /// answered from what is cached. (By cp: a shell's redirection does not look at what close says.)
    fn write_until(&self, works: bool) {
        let what = if works {
            "writes to work"
        } else {
            "writes to fail"
        };
        eventually(what, IN_FORCE_WITHIN, || {
            let script = "cp /etc/hostname /mnt/datasets/books/$(date +%s%N)";
            let written = self.namespace.exec("user", script);
            if written.ok == works {
                Ok(())
            } else {
                Err(format!("{written:?}"))
            }
        });
        assert_eq!(self.mounts_now(), self.mounts, "nothing is mounted anew");
    }

    fn apply(&self, manifests: &str) {
        let _ = self.namespace.apply(manifests).expect_ok();
    }
}

#[test]
fn keys_in_the_dataset_and_in_its_secret_rotate_into_a_running_mount() {
    if !is_given(&["S3_READER_KEY", "S3_READER_SECRET"]) {
        return;
    }
    let bucket = Bucket::new("rotate");
    let (key, secret) = (settings().get("S3_KEY"), settings().get("S3_SECRET"));
    let good = dataset("books", &bucket.name, "");
    let user = User::start("rotate", &good);
    user.apply(&good.replace(&secret, "wrong"));
    user.write_until(false);
    user.apply(&good);
    user.write_until(true);
    // Keys may write, and those of another identity may only read.
    let (reader, its_secret) = (
        settings().get("S3_READER_KEY"),
        settings().get("S3_READER_SECRET"),
    );
    user.apply(&keys("my-keys", &reader, &its_secret));
    user.apply(&dataset_with_secret("books", &bucket.name, "my-keys"));
    user.write_until(false);
    user.apply(&keys("my-keys", &key, &secret));
    user.write_until(true);
}

#[test]
fn a_new_endpoint_is_in_force_beneath_a_running_mount() {
    if !on_our_own_cluster("it starts a second S3 server") {
        return;
    }
    let second = SecondS3::start();
    let here = Bucket::new("moves");
    let there = Bucket::at(&second.endpoint, &here.name);
    let manifest = dataset("books", &here.name, "");
    let user = User::start("moves", &manifest);
    assert!(!here.keys().is_empty() && there.keys().is_empty());
    let moved = manifest.replace(&settings().get("S3_ENDPOINT"), &second.endpoint);
    user.apply(&moved);
    eventually("writes to arrive there", IN_FORCE_WITHIN, || {
        user.write_until(true);
        if there.keys().is_empty() {
            Err("none".to_owned())
        } else {
            Ok(())
        }
    });
    let before = here.keys();
    user.apply(&manifest);
    eventually("writes to arrive here again", IN_FORCE_WITHIN, || {
        user.write_until(true);
        if here.keys() == before {
            Err("none".to_owned())
        } else {
            Ok(())
        }
    });
    // While the server that its mount has used is there.
    user.namespace.remove();
}

/// The certificate of an authority that nobody knows.
fn strange_ca() -> String {
    let key = std::env::temp_dir().join(unique("dlf-strange-ca"));
    let mut command = Command::new("openssl");
    command
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=strange".split(' '))
        .arg("-keyout")
        .arg(&key);
    let certificate = run(&command, b"").expect_ok();
    fs::remove_file(key).unwrap();
    certificate
}

fn ca(certificates: &str) -> String {
    let lines = certificates.trim_end().replace('\n', "\n    ");
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: my-ca}}\nstringData:\n  ca.crt: |\n    {lines}\n"
    )
}

#[test]
fn a_private_ca_rotates_into_a_running_mount_and_a_wrong_one_is_named() {
    if !is_given(&["S3_CA_FILE", "S3_TLS_ENDPOINT"]) {
        return;
    }
    let bucket = Bucket::new("ca");
    let settings = settings();
    let right = fs::read_to_string(settings.get("S3_CA_FILE")).unwrap();
    let wrong = strange_ca();
    let endpoint = settings.get("S3_TLS_ENDPOINT");
    let (key, secret) = (settings.get("S3_KEY"), settings.get("S3_SECRET"));
    let manifest = source(
        "books",
        &format!(
            "type: COS, endpoint: \"{endpoint}\", bucket: {}, secret-name: my-keys, ca-secret-name: my-ca",
            bucket.name
        ),
    );
    let keys = keys("my-keys", &key, &secret);
    let user = User::start("ca", &format!("{keys}---\n{}---\n{manifest}", ca(&right)));
    // As one rotates: the new one beside the old, then alone.
    user.apply(&ca(&format!("{right}{wrong}")));
    user.write_until(true);
    user.apply(&ca(&wrong));
    user.write_until(false);
    let kind = format!("{DATASETS}/books");
    let tls_failed = |reason: &str, _: &str| contains(reason, "TlsFailed");
    user.namespace
        .await_condition(&kind, "SourceReachable", "False", NAMED_WITHIN, tls_failed);
    user.apply(&ca(&right));
    user.write_until(true);
    user.namespace.wait_dataset("books");
}
