//! A cache of several replicas, each of which keeps a part of every object.

use std::ops::Range;

use dlf_core::{plugin::CacheOrigin, shards::shard_of};
use dlf_tests::{Bucket, Namespace, list};
use sha2::{Digest, Sha256};

use crate::installed::{CACHES, cached, caches, name_in, name_of, served, with_plugins};

const UNIT: u64 = 4 << 20;
const UNITS: u64 = 12;

/// The ranges of the only object that a replica of the nginx example keeps: its files name them.
fn kept(pod: &str) -> Vec<Range<u64>> {
    let find = "grep -rhao '^KEY: .*bytes=[0-9]*-[0-9]*' /cache/data || true";
    let keys = caches(&["exec", pod, "--", "sh", "-c", find]);
    let range = |line: &str| {
        let (_, range) = line.rsplit_once("bytes=")?;
        let (first, last) = range.trim().split_once('-')?;
        Some(first.parse().ok()?..last.parse::<u64>().ok()? + 1)
    };
    let ranges = keys
        .lines()
        .map(|line| range(line).unwrap_or_else(|| panic!("{line}")));
    ranges.collect()
}

#[test]
fn each_replica_keeps_the_units_that_rendezvous_hashing_gives_it() {
    if !with_plugins() {
        return;
    }
    let bucket = Bucket::new("shards");
    let length = usize::try_from(UNITS * UNIT).unwrap();
    let bytes: Vec<u8> = (0..length / 8).flat_map(usize::to_be_bytes).collect();
    bucket.put("large", &bytes);
    let namespace = Namespace::new("shards");
    let manifest = cached("books", &bucket.name, "nginx");
    let manifest = manifest.replace("capacity: 100Mi", "capacity: 400Mi, replicas: 2");
    let _ = namespace.apply(&manifest).expect_ok();
    let cache = name_of(&served(&namespace, "books"));
    let pods = list("pods", CACHES, &format!("dlf.dev/cache={cache}"));
    let pods: Vec<String> = pods.iter().map(name_in).collect();
    for pod in &pods {
        let ready = ["wait", "--for=condition=Ready", "--timeout=90s", "pod", pod];
        let _ = caches(&ready);
    }

    let script = "sha256sum < /mnt/datasets/books/large";
    let read = namespace.run_pod("reader", "dataset.0.id: books", script, "");
    assert_eq!(
        read,
        format!("{}  -\n", hex::encode(Sha256::digest(&bytes)))
    );

    let internal = namespace.get("datasetsinternal.com.ie.ibm.hpsys", "books");
    let origins = &internal["metadata"]["annotations"]["dlf.dev/cache-origins"];
    let origins: Vec<CacheOrigin> = serde_json::from_str(origins.as_str().unwrap()).unwrap();
    let shards = &origins[0].shards;
    assert_eq!((shards.len(), pods.len()), (2, 2), "{shards:?} {pods:?}");
    let mut total = 0;
    for pod in &pods {
        let ranges = kept(pod);
        assert!(!ranges.is_empty(), "{pod} has nothing");
        for range in ranges {
            let unit = range.start / UNIT;
            assert!(range.end <= (unit + 1) * UNIT, "{range:?} is in two units");
            let names = shards.iter().map(String::as_str);
            let shard = shard_of(names, &bucket.name, "large", unit).unwrap();
            let host = format!("http://{pod}.");
            assert!(
                shards[shard].starts_with(&host),
                "{range:?} is of {}, not of {pod}",
                shards[shard]
            );
            total += range.end - range.start;
        }
    }
    let length = UNITS * UNIT;
    assert!(
        total <= length,
        "{total} bytes are kept of {length}, some of them twice"
    );
    assert!(
        total > length / 2,
        "{total} bytes are kept of {length} that were read"
    );
}
