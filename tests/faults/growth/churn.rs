//! Datasets that are created, edited, used and deleted: twenty a second, or what the machine carries.

use std::{
    fmt::Write,
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use dlf_tests::{
    Bucket, DATASETS, Namespace, SLEEP, dataset, dataset_with_secret, eventually, keys,
    kubectl_with, pod, settings, source,
};
use serde_json::Value;

/// Datasets of one batch. The first is used by a pod: two nodes on two cores start two to three
/// pods a second, and everything else has to run beside them.
const BATCH: usize = 20;
/// A batch begins each second, or as soon as one of those before has gone. Where API server,
/// kubelets and operator share two cores, that is three to four Datasets a second: each is some
/// sixty requests of all parties.
const EVERY: Duration = Duration::from_secs(1);
/// Batches under way at once, each in a namespace of its own. What is there at once is bounded by
/// it, however slow the machine is.
const LANES: u32 = 6;

/// A pod's time to be ready, on a machine that has more to do.
const READY_WITHIN: Duration = Duration::from_mins(2);
/// A pod's time to go, and its Dataset's after it, on a machine that has more to do.
const GONE_WITHIN: Duration = Duration::from_mins(2);

/// One lane's: batches, Datasets deleted under their pod, and mounts by s3fs.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    batches: usize,
    in_use: usize,
    s3fs: usize,
}

/// Churns for `length`, and until nothing of it is there; says what it did.
pub(super) fn round(purpose: &str, length: Duration) -> String {
    let bucket = Bucket::new(purpose);
    bucket.put("hello.txt", b"hello\n");
    let began = Instant::now();
    let lanes: Vec<Done> = scope(|threads| {
        let lanes: Vec<_> = (0..LANES)
            .map(|number| {
                let bucket = &bucket.name;
                threads.spawn(move || lane(purpose, number, bucket, began, length))
            })
            .collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
    });
    // What did nothing cannot show that it leaves nothing.
    assert!(lanes.iter().all(|done| done.batches > 0), "{lanes:?}");
    let sum = |count: fn(&Done) -> usize| lanes.iter().map(count).sum::<usize>();
    let (batches, in_use) = (sum(|done| done.batches), sum(|done| done.in_use));
    let s3fs = sum(|done| done.s3fs);
    assert!(in_use > 0 && s3fs > 0, "{lanes:?}");
    format!(
        "{purpose}: {} Datasets and {batches} pods in {:.0} s, and {:.0} s until all had gone; \
         {in_use} deleted under their pod, {s3fs} mounted by s3fs",
        batches * BATCH,
        length.as_secs_f64(),
        began.elapsed().saturating_sub(length).as_secs_f64(),
    )
}

fn lane(purpose: &str, lane: u32, bucket: &str, began: Instant, length: Duration) -> Done {
    let namespace = Namespace::new(purpose);
    let mut done = Done::default();
    let mut turn = EVERY * lane;
    while turn < length {
        // The rate is what is asked for here; a lane that is late goes on at once.
        sleep(turn.saturating_sub(began.elapsed()));
        let last = turn + EVERY * LANES >= length;
        let batch = Batch {
            namespace: &namespace,
            bucket,
            // Each lane begins with another kind of batch, so that the first of all are of every kind.
            number: lane as usize + done.batches,
        };
        done.in_use += usize::from(batch.run(last));
        done.s3fs += usize::from(batch.uses_s3fs());
        done.batches += 1;
        turn = (turn + EVERY * LANES).max(began.elapsed());
    }
    namespace.remove();
    done
}

struct Batch<'a> {
    namespace: &'a Namespace,
    bucket: &'a str,
    number: usize,
}

impl Batch<'_> {
    /// True when its first Dataset was deleted under its pod. The last batch of a namespace goes
    /// with it.
    fn run(&self, last: bool) -> bool {
        let name = |dataset: usize| self.name(dataset);
        let reader = format!("p{}", self.number);
        let script = format!(
            "grep -qx hello /mnt/datasets/{}/hello.txt; {SLEEP}",
            name(0)
        );
        let label = format!("dataset.0.id: {}", name(0));
        let pod = pod(&reader, &label, &script, "");
        self.apply(&format!("{}{pod}", self.manifests(false)));
        self.namespace.wait_ready(&reader, READY_WITHIN);

        let (map, secret) = (
            format!("configmap/{}", name(5)),
            format!("secret/{}", name(6)),
        );
        let (claim, used) = (format!("pvc/{}", name(7)), format!("pvc/{}", name(0)));
        let mut parts = vec![&*map, &secret, &claim];
        if self.number.is_multiple_of(4) {
            parts.push(&used);
        }
        self.delete(&parts);
        self.apply(&self.manifests(true));
        let phase = &self.namespace.get("pod", &reader)["status"]["phase"];
        assert_eq!(phase, "Running", "{reader} could not read");

        let datasets: Vec<String> = (0..BATCH)
            .map(|dataset| format!("{}/{}", self.plural(), name(dataset)))
            .collect();
        let pod = format!("pod/{reader}");
        let secret = format!("secret/{}", self.secret());
        let mut all: Vec<&str> = datasets.iter().map(String::as_str).collect();
        let in_use = self.number % 2 == 1;
        all.insert(if in_use { BATCH } else { 0 }, &pod);
        all.push(&secret);
        if !last {
            self.delete(&all);
            self.wait_gone();
        }
        in_use
    }

    fn name(&self, dataset: usize) -> String {
        format!("d{}-{dataset}", self.number)
    }

    fn secret(&self) -> String {
        format!("keys-{}", self.number)
    }

    /// Whether its pod reads through s3fs, a program that starts others: every third, so that it
    /// meets both groups, and deletions of both orders.
    fn uses_s3fs(&self) -> bool {
        self.number.is_multiple_of(3)
    }

    /// Both groups in turns of two, as pods stop in turns of one.
    fn plural(&self) -> &'static str {
        if self.number % 4 < 2 {
            DATASETS
        } else {
            "datasets.datashim.io"
        }
    }

    /// A Secret and the Datasets, as they are made or as they are edited.
    fn manifests(&self, edited: bool) -> String {
        let settings = settings();
        let secret = self.secret();
        let mut all = keys(&secret, &settings.get("S3_KEY"), &settings.get("S3_SECRET"));
        if edited {
            let _ = writeln!(all, "immutable: true");
        }
        all += "---\n";
        for number in 0..BATCH {
            let one = self.dataset(number, edited);
            let one = match self.plural() {
                DATASETS => one,
                _ => one.replace("com.ie.ibm.hpsys/", "datashim.io/"),
            };
            all = all + &one + "---\n";
        }
        all
    }

    fn dataset(&self, number: usize, edited: bool) -> String {
        let (name, bucket, secret) = (self.name(number), self.bucket, &self.secret());
        let one = match (number % 5, edited) {
            // Keys move into a Secret, under a running mount too.
            (0, true) | (1, false) => dataset_with_secret(&name, bucket, secret),
            // Keys move out of it, and it becomes read-only.
            (1, true) => dataset(&name, bucket, ", readonly: \"true\""),
            // A Secret that is missing, and then there.
            (2, false) => dataset_with_secret(&name, bucket, "missing"),
            (2, true) => dataset_with_secret(&name, &format!("{bucket}/prefix"), secret),
            // A bucket that is missing, and then there.
            (3, false) => dataset(&name, "there-is-none", ""),
            // A server that is there, and then a port where nobody listens.
            (4, true) => {
                let server = settings().get("NFS_SERVER");
                let port = 20_000 + (self.number * BATCH + number) % 10_000;
                let local =
                    format!("type: COS, endpoint: \"http://{server}:{port}\", bucket: {bucket}");
                source(&name, &local)
            }
            _ => dataset(&name, bucket, ""),
        };
        if number == 0 && self.uses_s3fs() {
            one + "  mount: {program: s3fs}\n"
        } else {
            one
        }
    }

    /// One request for each object: this machine has to carry the commands too.
    fn apply(&self, manifests: &str) {
        let apply = [
            "-n",
            &self.namespace.name,
            "apply",
            "--server-side",
            "--validate=false",
        ];
        let _ = kubectl_with(&[&apply[..], &["-f", "-"]].concat(), manifests).expect_ok();
    }

    fn wait_gone(&self) {
        let names: Vec<String> = (0..BATCH).map(|dataset| self.name(dataset)).collect();
        eventually("the batch to go", GONE_WITHIN, || {
            let listed = self.namespace.list(self.plural(), "");
            let is_ours = |one: &&Value| names.iter().any(|name| one["metadata"]["name"] == *name);
            match listed.iter().filter(is_ours).count() {
                0 => Ok(()),
                left => Err(format!("{left} left")),
            }
        });
    }

    fn delete(&self, objects: &[&str]) {
        let delete = ["delete", "--wait=false", "--ignore-not-found"];
        let _ = self
            .namespace
            .kubectl(&[&delete[..], objects].concat())
            .expect_ok();
    }
}
