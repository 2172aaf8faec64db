//! What mounts keep on a node's disk: a dataset's own, and nobody else's.

use std::{path::Path, process::Command};

use dlf_tests::{
    Bucket, DATASETS, Namespace, Node, Output, POD_WITHIN, PROGRAMS, REFUSED, SLEEP, Staged,
    dataset, eventually, on_our_own_cluster, pod, put_program, run, skip,
};

use crate::tenant::{Neighbour, Tenant};

/// Of what is kept of it and what is being written, more than a mount holds in memory.
const LINES: usize = 1_000_001;

/// The name of a file that a terminal would obey.
const HOSTILE_NAME: &str = r#""$(printf "evil\033[2J\302\233 name")""#;

/// What is kept of it has this name, behind a number.
const HARMLESS_NAME: &str = "evil__2J__name";

/// Where a mounter has all datasets' directories, and where it listens.
const IN_THE_MOUNTER: &str = "/staging /run/dlf";

/// A pod `user` with the Dataset `books`, and that dataset's directory on the pod's node.
fn user(namespace: &Namespace, node: Option<&Node>) -> Staged {
    let more = node.map(|node| format!("  nodeName: {}\n", node.name));
    let user = pod(
        "user",
        "dataset.0.id: books",
        SLEEP,
        &more.unwrap_or_default(),
    );
    let _ = namespace.apply(&user).expect_ok();
    namespace.wait_ready("user", POD_WITHIN);
    Staged::of(namespace, "books", Node::of(namespace, "user"))
}

/// The neighbour has killed a program that wrote, and runs another.
fn stage(neighbour: &Neighbour) -> Staged {
    put_program(&neighbour.bucket, "writer.go");
    let namespace = &neighbour.tenant.namespace;
    let staged = user(namespace, None);
    let script = format!(
        "set -e; cd /mnt/datasets/books; cp {PROGRAMS}/writer /tmp; chmod 755 /tmp/writer\n\
         echo old > {HOSTILE_NAME}\n\
         /tmp/writer {LINES} wait /tmp/killed > {HOSTILE_NAME} 2> /dev/null &\n\
         until test -e /tmp/killed; do sleep 0.1; done; kill -9 $!; wait $! || rm {HOSTILE_NAME}\n\
         /tmp/writer {LINES} wait /tmp/running > running 2> /dev/null < /dev/null &\n\
         until test -e /tmp/running; do sleep 0.1; done"
    );
    let _ = namespace.exec("user", &script).expect_ok();
    staged
}

/// A child of the mounter that was taken over.
struct TakenOver {
    pid: String,
    uid: String,
}

impl TakenOver {
    /// The one of a dataset; none where the kernel does not tell who serves a mount.
    fn of(namespace: &Namespace, staged: &Staged) -> Option<Self> {
        let uid = namespace.get(DATASETS, "books")["metadata"]["uid"].clone();
        let volume = format!("dlf-{}", uid.as_str().unwrap());
        let [pid] = &staged.node.servers_of(&volume)?[..] else {
            panic!("one child serves {volume}");
        };
        let owner = staged.node.sh(&format!("stat -c %u {}", staged.path));
        Some(Self {
            pid: pid.clone(),
            uid: owner.expect_ok().trim().to_owned(),
        })
    }

    /// Runs a shell script as its uid and with its mounts.
    fn sh(&self, script: &str) -> Output {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.pid, "--mount"])
            .args(["--setuid", &self.uid, "--setgid", &self.uid])
            .args(["sh", "-euc", script]);
        run(&command, b"")
    }
}

#[test]
fn what_is_staged_and_kept_of_a_dataset_is_out_of_reach_for_pods_and_mounts_of_another() {
    if !on_our_own_cluster("it acts as a mount's process that was taken over") {
        return;
    }
    let neighbour = Neighbour::new("staged");
    let theirs = stage(&neighbour);
    let kept = theirs.kept();
    let [name] = &kept[..] else {
        panic!("one file is kept: {kept:?}");
    };
    assert!(name.ends_with(&format!("-{HARMLESS_NAME}")), "{name}");
    let digest = theirs.digest_of_kept(HARMLESS_NAME);
    let running = "cat DIRECTORY/live/*/* | wc -c".replace("DIRECTORY", &theirs.path);
    let running = || theirs.node.sh(&running).expect_ok();
    assert_ne!(running().trim(), "0");

    let thief = Tenant::new("curious");
    let bucket = Bucket::new("curious");
    bucket.put("it.txt", b"mine\n");
    let _ = thief.apply(&dataset("books", &bucket.name, "")).expect_ok();
    let mine = user(&thief.namespace, Some(&theirs.node));
    // The pod is root in its container.
    let look = format!(
        "{REFUSED}test \"$(ls -A /mnt/datasets/books)\" = it.txt; refused grep -q staging /proc/self/mountinfo; \
         test -z \"$(find / -xdev -name \"*{HARMLESS_NAME}*\")\"; echo nothing else"
    );
    let seen = thief.namespace.exec("user", &format!("set -e; {look}"));
    assert_eq!(seen.expect_ok(), "nothing else\n");

    let Some(child) = TakenOver::of(&thief.namespace, &mine) else {
        skip("this kernel does not tell who serves a mount");
        return;
    };
    let (their_name, my_name) = (file_name(&theirs.path), file_name(&mine.path));
    let look = format!(
        "{REFUSED}echo mine > /staging/{my_name}/kept/mine; cat /staging/{my_name}/kept/mine; \
         for path in {IN_THE_MOUNTER} /staging/{their_name} /staging/{their_name}/kept; do \
         refused ls $path; refused touch $path/it; done; \
         refused cat /staging/{their_name}/kept/{name}; refused cat /proc/1/environ; \
         echo nothing else"
    );
    assert_eq!(child.sh(&look).expect_ok(), "mine\nnothing else\n");

    // What it lays for the driver to find leads nowhere: neither now, nor when its mount has gone.
    let lay = format!(
        "cd /staging/{my_name}; mv kept was; ln -s {0}/kept kept; ln -s {0}/kept live/link; \
         ln -s {0} live/all",
        theirs.path
    );
    let _ = child.sh(&lay).expect_ok();
    let before = running();
    let _ = thief.kubectl(&["delete", "pod", "user"]).expect_ok();
    eventually("the thief's directory to go", POD_WITHIN, || {
        let left = mine.node.sh(&format!("ls -lR {}", mine.path));
        if left.ok { Err(left.text) } else { Ok(()) }
    });
    assert_eq!(theirs.digest_of_kept(HARMLESS_NAME), digest);
    assert_eq!(running(), before);
    neighbour.is_unharmed();
}

fn file_name(path: &str) -> &str {
    Path::new(path).file_name().unwrap().to_str().unwrap()
}
