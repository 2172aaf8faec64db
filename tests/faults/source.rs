//! The S3 server goes away and comes back.

use std::{
    thread,
    time::{Duration, Instant},
};

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Reader, SecondS3, contains, dataset, on_our_own_cluster, s3_at,
    settings, unique,
};

/// How long the server is away; less than the 90 s that a request waits for its source.
const AWAY: Duration = Duration::from_mins(1);

/// A task that failed for a minute is tried again after 80 s, and the server needs some seconds to
/// come up.
const HEALED_WITHIN: Duration = Duration::from_mins(2);

fn at_second(second: &SecondS3, name: &str, bucket: &str, more: &str) -> String {
    dataset(name, bucket, more).replace(&settings().get("S3_ENDPOINT"), &second.endpoint)
}

#[test]
fn while_its_s3_server_is_away_reads_wait_and_a_deletion_that_needs_it_says_so() {
    if !on_our_own_cluster("it kills a server") {
        return;
    }
    let second = SecondS3::start();
    let bucket = Bucket::at(&second.endpoint, &unique("away"));
    // Each open asks the source, so that none is answered from what is known.
    let manifest = at_second(&second, "books", &bucket.name, "") + "  cache: {revalidate: 0s}\n";
    let reader = Reader::of("away", bucket, &manifest);
    let name = unique("goes");
    let both = ", provision: \"true\", removeOnDelete: \"true\"";
    let goes = at_second(&second, "goes", &name, both);
    let namespace = &reader.namespace;
    let _ = namespace.apply(&goes).expect_ok();
    namespace.wait_dataset("goes");
    let bucket = || s3_at(&second.endpoint, "GET", &format!("{name}?list-type=2"), b"");
    bucket().unwrap();

    second.tell("kill");
    let killed = Instant::now();
    let before = reader.rounds();
    let _ = namespace
        .kubectl(&["delete", DATASETS, "goes", "--wait=false"])
        .expect_ok();
    let kind = format!("{DATASETS}/goes");
    let look = |reason: &str, message: &str| {
        contains(reason, "Deleting")?;
        contains(message, &second.endpoint)?;
        contains(message, "to keep the bucket")
    };
    namespace.await_condition(&kind, "Ready", "False", NAMED_WITHIN, look);
    thread::sleep(AWAY.saturating_sub(killed.elapsed())); // what is shown: so long is waited for
    assert!(
        reader.rounds() <= before + 1,
        "it reads without its source: nothing was shown"
    );

    second.tell("start");
    reader.goes_on();
    assert_eq!(reader.errors(), "");
    namespace.wait_gone(DATASETS, "goes", HEALED_WITHIN);
    contains(&bucket().unwrap_err(), "NoSuchBucket").unwrap();
    drop(reader);
}
