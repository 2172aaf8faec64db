//! Clocks that jump by an hour, forth and back, under operator, worker and node driver.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use dlf_tests::{
    DATASETS, NAMED_WITHIN, POD_WITHIN, Reader, cluster_script, dataset, is_long,
    on_our_own_cluster, settings,
};
use serde_json::{Value, json};

use crate::{
    load::Load,
    ours::{is_up, ours},
};

const WORKLOADS: [(&str, &str); 3] = [
    ("deployment/dlf-operator", "operator"),
    ("deployment/dlf-worker", "worker"),
    ("daemonset/dlf-csi", "csi"),
];

/// Where Debian has the library that shows a process another time.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime";

/// A clock of our parts that the test sets. Dropped, they have the machine's again.
struct Clock {
    /// Holds the offset; the library looks at it at each call.
    offset: PathBuf,
}

impl Clock {
    fn give() -> Self {
        let _ = cluster_script("packages.sh", &["libfaketime"]).expect_ok();
        let directory = PathBuf::from(settings().get("CLUSTER_RUN")).join("faketime");
        fs::create_dir_all(&directory).unwrap();
        let clock = Self {
            offset: directory.join("offset"),
        };
        clock.set("+0");
        for (workload, container) in WORKLOADS {
            let patch = patch(container, &directory).to_string();
            let _ = ours(&["patch", workload, "-p", &patch]);
        }
        for (workload, _) in WORKLOADS {
            is_up(workload);
        }
        clock
    }

    fn set(&self, offset: &str) {
        // Never half written: it is read all the time.
        let new = self.offset.with_extension("new");
        fs::write(&new, offset).unwrap();
        fs::rename(&new, &self.offset).unwrap();
    }
}

/// Shows a container's program the clock that is set in `directory`.
fn patch(container: &str, directory: &Path) -> Value {
    let variables = [
        ("LD_PRELOAD", format!("{LIBRARY}/libfaketime.so.1")),
        ("FAKETIME_TIMESTAMP_FILE", "/offset/offset".to_owned()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        // Intervals and deadlines are of the monotonic clock, which never jumps.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    json!({ "spec": { "template": { "spec": {
        "volumes": [
            { "name": "faketime", "hostPath": { "path": LIBRARY } },
            { "name": "offset", "hostPath": { "path": directory } },
        ],
        "containers": [{
            "name": container,
            "env": variables.map(|(name, value)| json!({ "name": name, "value": value })),
            "volumeMounts": [
                { "name": "faketime", "mountPath": LIBRARY, "readOnly": true },
                { "name": "offset", "mountPath": "/offset", "readOnly": true },
            ],
        }],
    }}}})
}

impl Drop for Clock {
    fn drop(&mut self) {
        for (workload, _) in WORKLOADS {
            let _ = ours(&["rollout", "undo", workload]);
        }
        for (workload, _) in WORKLOADS {
            is_up(workload);
        }
    }
}

/// How far a time in seconds is from this machine's, rounded to hours.
fn hours_from_now(seconds: &str) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let shown: i64 = seconds.trim().parse().unwrap();
    let ahead = shown - i64::try_from(now.as_secs()).unwrap();
    (ahead + 1800).div_euclid(3600)
}

/// A name for what is made then, the offset, and its hours. The way back to now is a jump, too.
type Jump = (&'static str, &'static str, i64);
const LATER: Jump = ("later", "+1h", 1);
const EARLIER: Jump = ("earlier", "-1h", -1);
const NOW: Jump = ("now", "+0", 0);

const LONG: &[Jump] = &[LATER, EARLIER, NOW];
/// By a clock that was an hour ahead, every token had expired: of the jumps it is the one that found a fault.
const SHORT: &[Jump] = &[LATER, NOW];

#[test]
fn clocks_that_jump_by_an_hour_do_no_harm() {
    if !on_our_own_cluster("it sets the clock of every part of DLF") {
        return;
    }
    let reader = Reader::start("clock");
    let namespace = &reader.namespace;
    let clock = Clock::give();
    let load = Load::begin(&namespace.name);
    let jumps = if is_long() { LONG } else { SHORT };
    for &(name, offset, hours) in jumps {
        clock.set(offset);
        for (workload, _) in WORKLOADS {
            let shown = ours(&["exec", workload, "--", "date", "+%s"]);
            assert_eq!(hours_from_now(&shown), hours, "{workload}");
        }
        load.goes_on();
        // Their successors' tokens are an hour old, or not made yet, by that time.
        for component in ["worker", "csi"] {
            let label = format!("app.kubernetes.io/component={component}");
            let now = ["--force", "--grace-period=0"];
            let _ = ours(&[&["delete", "pod", "-l", &label], &now[..]].concat());
        }
        for (workload, _) in WORKLOADS {
            is_up(workload);
        }
        // The worker signs its questions with that time, the operator and its nodes go on.
        let _ = namespace
            .apply(&dataset(name, &reader.bucket.name, ""))
            .expect_ok();
        // No harm is not no delay: programs that read the time from a file are slower.
        let kind = format!("{DATASETS}/{name}");
        let _ = namespace.wait_condition(&kind, "Ready", "True", POD_WITHIN);
        let script = format!("cat /mnt/datasets/{name}/hello.txt");
        let log = namespace.run_pod(name, &format!("dataset.0.id: {name}"), &script, "");
        assert_eq!(log, "hello\n");
        let _ = namespace.wait_condition(&kind, "SourceReachable", "True", NAMED_WITHIN);
        reader.goes_on();
    }
    let answers = load.end();
    assert!(answers.refused.is_empty(), "{:?}", answers.refused);
    assert_eq!(reader.errors(), "");
    drop(clock);
    reader.another_reads();
}
