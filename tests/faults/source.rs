//! The S3 server goes away and comes back.

use std::{thread, time::Duration};

use dlf_tests::{
    Bucket, DATASETS, Namespace, SecondS3, contains, dataset, eventually, on_our_own_cluster,
    s3_at, settings, unique,
};

use crate::reader::Reader;

/// How long the server is away; less than the 90 s that a request waits for its source.
const AWAY: Duration = Duration::from_secs(20);

/// A task that failed is tried again after 20 s, and the server needs some seconds to come up.
const HEALED_WITHIN: Duration = Duration::from_mins(1);

fn at_second(second: &SecondS3, name: &str, bucket: &str, more: &str) -> String {
    dataset(name, bucket, more).replace(&settings().get("S3_ENDPOINT"), &second.endpoint)
}

#[test]
fn reads_wait_while_the_s3_server_is_away_for_twenty_seconds_and_none_fails() {
    let test = "reads_wait_while_the_s3_server_is_away_for_twenty_seconds_and_none_fails";
    if !on_our_own_cluster(test, "it stops a server") {
        return;
    }
    let second = SecondS3::start();
    let bucket = Bucket::at(&second.endpoint, &unique("away"));
    // Each open asks the source, so that none is answered from what is known.
    let manifest = at_second(&second, "books", &bucket.name, "") + "  cache: {revalidate: 0s}\n";
    let reader = Reader::of("away", bucket, &manifest);
    second.tell("stop");
    let before = reader.rounds();
    thread::sleep(AWAY); // what is shown: that this long is waited for
    assert!(
        reader.rounds() <= before + 1,
        "it reads without its source: nothing was shown"
    );
    second.tell("start");
    reader.goes_on();
    assert_eq!(reader.errors(), "");
    drop(reader);
}

#[test]
fn a_dataset_whose_bucket_goes_with_it_waits_for_an_s3_server_that_is_away_and_says_so() {
    let test =
        "a_dataset_whose_bucket_goes_with_it_waits_for_an_s3_server_that_is_away_and_says_so";
    if !on_our_own_cluster(test, "it stops a server") {
        return;
    }
    let second = SecondS3::start();
    let (namespace, name) = (Namespace::new("stuck"), unique("stuck"));
    let both = ", provision: \"true\", removeOnDelete: \"true\"";
    let _ = namespace
        .apply(&at_second(&second, "books", &name, both))
        .expect_ok();
    namespace.wait_dataset("books");
    let bucket = || s3_at(&second.endpoint, "GET", &format!("{name}?list-type=2"), b"");
    bucket().unwrap();
    second.tell("stop");
    let _ = namespace
        .kubectl(&["delete", DATASETS, "books", "--wait=false"])
        .expect_ok();
    let kind = format!("{DATASETS}/books");
    eventually("the reason to be named", HEALED_WITHIN, || {
        let (reason, message) = namespace.wait_condition(&kind, "Ready", "False", HEALED_WITHIN);
        contains(&reason, "Deleting")?;
        contains(&message, &second.endpoint)?;
        contains(
            &message,
            "without the label remove-on-delete the bucket is kept",
        )
    });
    second.tell("start");
    namespace.wait_gone(DATASETS, "books", HEALED_WITHIN);
    contains(&bucket().unwrap_err(), "NoSuchBucket").unwrap();
    assert_eq!(namespace.traces(), "");
}
