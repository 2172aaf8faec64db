//! Programs in pods that end while they write, in every way in which a container's programs end. What had an old
//! object stays as it was, what was new or appended is kept as on a disk, and a program that exits has closed its
//! files.

use std::fmt::Write;

use dlf_tests::{
    Bucket, Namespace, Node, POD_WITHIN, PROGRAMS, SLEEP, Staged, dataset, on_our_own_cluster, pod,
    put_program, settings,
};
use sha2::{Digest, Sha256};

const OLD: &str = "the old one, whole\n";

/// Lines of 20 bytes that a program has written when it ends: several parts of an upload, and some more.
const LINES: usize = 1_000_001;

/// Which thread of a program closes its files is chance.
const ROUNDS: usize = 5;

/// Lines that are enough for that.
const FEW_LINES: usize = 100_000;

/// Copies the programs to where nothing keeps them from being run.
const BEGIN: &str =
    "cd /mnt/datasets/books; mkdir /tmp/ready; cp PROGRAMS/* /tmp; chmod 755 /tmp/*";

fn begin() -> String {
    BEGIN.replace("PROGRAMS", PROGRAMS)
}

/// What the programs write.
fn written(lines: usize) -> String {
    let mut text = String::new();
    for line in 0..lines {
        let _ = writeln!(text, "{line:019}");
    }
    text
}

/// A Dataset `books` with an old object and an old log for each of these endings.
fn books(purpose: &str, endings: &[&str]) -> (Namespace, Bucket) {
    let (namespace, bucket) = (Namespace::new(purpose), Bucket::new(purpose));
    put_program(&bucket, "writer.go");
    for ending in endings {
        for kind in ["old", "log"] {
            bucket.put(&format!("{kind}-{ending}"), OLD.as_bytes());
        }
    }
    let _ = namespace
        .apply(&dataset("books", &bucket.name, ""))
        .expect_ok();
    (namespace, bucket)
}

/// Lines of a shell that begin to write an old object, a new one and a log, and wait until all is written.
fn three_writers(ending: &str) -> String {
    let kinds = [("old", ">"), ("new", ">"), ("log", ">>")];
    let begin = kinds.map(|(kind, into)| {
        format!(
            "/tmp/writer {LINES} wait /tmp/ready/{kind}-{ending} {into} {kind}-{ending} 2> /dev/null < /dev/null &\n\
             {kind}=$!\n"
        )
    });
    let wait = kinds.map(|(kind, _)| wait_for(&format!("{kind}-{ending}")));
    format!("{}{}", begin.concat(), wait.concat())
}

fn wait_for(ready: &str) -> String {
    format!("until test -e /tmp/ready/{ready}; do sleep 0.1; done\n")
}

/// What is right after three writers were killed.
fn nothing_half_written_replaced_anything(ending: &str, bucket: &Bucket, staged: &Staged) {
    let text = written(LINES);
    holds(bucket, &format!("old-{ending}"), OLD);
    holds(bucket, &format!("new-{ending}"), &text);
    holds(bucket, &format!("log-{ending}"), &format!("{OLD}{text}"));
    is_kept(&format!("old-{ending}"), staged);
}

/// The text of an object is too long to be shown where it is wrong.
fn holds(bucket: &Bucket, key: &str, expected: &str) {
    let found = bucket.get(key).unwrap();
    let length = found.len();
    assert!(
        found == expected.as_bytes(),
        "{key} has {length} bytes, not {} or others",
        expected.len()
    );
}

fn is_kept(name: &str, staged: &Staged) {
    let expected = hex::encode(Sha256::digest(written(LINES)));
    assert_eq!(staged.digest_of_kept(name), expected, "{name}");
}

#[test]
fn a_program_with_threads_that_exits_leaves_its_unclosed_file_whole() {
    if !on_our_own_cluster("it compiles programs for its nodes") {
        return;
    }
    let names: Vec<String> = (1..=ROUNDS)
        .flat_map(|round| ["writer", "threads"].map(|program| format!("{program}-{round}")))
        .collect();
    let endings: Vec<&str> = names.iter().map(String::as_str).collect();
    let (namespace, bucket) = books("exits", &endings);
    put_program(&bucket, "threads.c");
    let mut script = begin();
    for name in &names {
        let program = name.split_once('-').unwrap().0;
        let _ = write!(script, "; /tmp/{program} {FEW_LINES} exit > old-{name}");
    }
    let _ = namespace.run_pod("user", "dataset.0.id: books", &script, "");
    let expected = written(FEW_LINES);
    for name in names {
        holds(&bucket, &format!("old-{name}"), &expected);
    }
}

#[test]
fn a_program_that_is_killed_or_whose_pod_is_deleted_replaces_nothing() {
    if !on_our_own_cluster("it looks at the disk of a node") {
        return;
    }
    let endings = ["KILL", "TERM", "timeout", "tee", "deleted"];
    let (namespace, bucket) = books("killed", &endings);
    let user = pod("user", "dataset.0.id: books", SLEEP, "");
    let _ = namespace.apply(&user).expect_ok();
    namespace.wait_ready("user", POD_WITHIN);
    let staged = Staged::of(&namespace, "books", Node::of(&namespace, "user"));
    let sh = |script: &str| {
        let script = format!("cd /mnt/datasets/books; {script}");
        namespace.exec("user", &script).expect_ok()
    };
    let _ = sh(&begin());
    for (signal, code) in [("KILL", 137), ("TERM", 143)] {
        let killed = format!(
            "{}kill -s {signal} $old $new $log; wait $old; echo $?; wait",
            three_writers(signal)
        );
        assert_eq!(sh(&killed), format!("{code}\n"));
        nothing_half_written_replaced_anything(signal, &bucket, &staged);
        // The name is what the source has, at once, and the next program begins anew.
        let next = format!("cat old-{signal}; echo next > old-{signal}; cat old-{signal}");
        assert_eq!(sh(&next), format!("{OLD}next\n"));
    }
    // `timeout` holds the file too, and exits by itself.
    let late = format!("timeout 1 /tmp/writer {LINES} wait > old-timeout; echo $?");
    assert_eq!(sh(&late), "124\n");
    holds(&bucket, "old-timeout", OLD);
    // A broken pipe ends a program that was to end.
    let tee = "seq 300000 | tee old-tee | head -1";
    assert_eq!(sh(tee), "1\n");
    assert!(bucket.get("old-tee").unwrap().starts_with(b"1\n2\n"));
    let _ = sh(&three_writers("deleted"));
    let delete = ["delete", "pod", "user", "--grace-period=1"];
    let _ = namespace.kubectl(&delete).expect_ok();
    nothing_half_written_replaced_anything("deleted", &bucket, &staged);
}

#[test]
fn what_the_end_of_a_container_or_of_its_memory_kills_replaces_nothing() {
    if !on_our_own_cluster("it looks at the disk of a node") {
        return;
    }
    let (namespace, bucket) = books("ends", &["container", "memory"]);
    let ends = format!("{}\n{}exit 0", begin(), three_writers("container"));
    let greedy = format!("{}\nexec /tmp/writer {LINES} grow > old-memory", begin());
    let containers = [("main", &ends, ""), ("greedy", &greedy, LITTLE_MEMORY)];
    let containers = containers.map(|(name, script, more)| container(name, script, more));
    let user = pod("user", "dataset.0.id: books", "", "");
    let (spec, _) = user.split_once("  containers:").unwrap();
    let user = format!("{spec}  containers:\n{}", containers.concat());
    let _ = namespace.apply(&user).expect_ok();
    namespace.wait_phase("user", "Failed", POD_WITHIN);
    let staged = Staged::of(&namespace, "books", Node::of(&namespace, "user"));
    nothing_half_written_replaced_anything("container", &bucket, &staged);
    let ended = namespace.get("pod", "user")["status"]["containerStatuses"].clone();
    let codes: Vec<(&str, i64)> = ended.as_array().unwrap().iter().map(code).collect();
    assert_eq!(codes, [("greedy", KILLED), ("main", 0)]);
    holds(&bucket, "old-memory", OLD);
    is_kept("old-memory", &staged);
}

/// More than a writer needs, and less than it soon has.
const LITTLE_MEMORY: &str = "    resources: {limits: {memory: 96Mi}}\n";

/// The code of a program that `SIGKILL` ended.
const KILLED: i64 = 128 + 9;

/// A container of a pod, whose script is a block scalar.
fn container(name: &str, script: &str, more: &str) -> String {
    let image = settings().get("TEST_IMAGE");
    let script = script.replace('\n', "\n      ");
    format!(
        "  - name: {name}\n    image: {image}\n    command:\n    - sh\n    - -euc\n    - |\n      {script}\n{more}"
    )
}

/// Name and exit code of a container that has ended.
fn code(status: &serde_json::Value) -> (&str, i64) {
    let code = status["state"]["terminated"]["exitCode"].as_i64();
    (status["name"].as_str().unwrap(), code.unwrap())
}
