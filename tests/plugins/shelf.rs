//! A cache of somebody else's own, by the example in Python and by the one in Rust: two shards that read the source
//! with its keys, are filled ahead, and say what they keep.

use std::fmt::Write as _;

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, dataset_with_secret, eventually, find, keys, pod,
    settings,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::installed::{
    CACHED_WITHIN, CACHES, cached, caches, name_of, objects, seen, served, with_plugins,
};

const OBJECTS: [(&str, usize); 3] = [
    ("train/large", 11 << 20),
    ("train/small", 1000),
    ("other", 5 << 20),
];

/// Bytes that are the same nowhere.
fn bytes(length: usize) -> Vec<u8> {
    let numbers = (0..length.div_ceil(8)).flat_map(usize::to_be_bytes);
    numbers.take(length).collect()
}

/// What the Dataset's status says of its cache, once it fits.
fn cache_says(namespace: &Namespace, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    eventually(what, CACHED_WITHIN, || {
        let cache = namespace.get(DATASETS, "books")["status"]["cache"].clone();
        if fits(&cache) {
            Ok(cache)
        } else {
            Err(cache.to_string())
        }
    })
}

/// A pod that compares checksums of all objects until it is told to stop.
fn compare(namespace: &Namespace) {
    let mut sums = String::new();
    for (key, length) in OBJECTS {
        let sum = hex::encode(Sha256::digest(bytes(length)));
        let _ = write!(sums, "echo \"{sum}  {key}\" >> /tmp/sums; ");
    }
    let script = format!(
        "cd /mnt/datasets/books; {sums}n=0; \
         until [ -e /tmp/stop ]; do sha256sum -c /tmp/sums > /tmp/said || exit 1; n=$((n+1)); echo $n > /tmp/count; done"
    );
    let reader = pod("compare", "dataset.0.id: books", &script, "");
    let _ = namespace.apply(&reader).expect_ok();
    rounds(namespace, 2);
}

/// Waits for so many more rounds of comparing.
fn rounds(namespace: &Namespace, more: u64) {
    let so_far = || -> Result<u64, String> {
        let said = namespace.exec("compare", "cat /tmp/count || echo 0");
        let count = said.text.trim().parse();
        count.map_err(|_| format!("{said:?}; {:?}", namespace.kubectl(&["logs", "compare"])))
    };
    let mut begin = None;
    eventually("checksums to be compared", CACHED_WITHIN, || {
        let now = so_far()?;
        let begin = *begin.get_or_insert(now);
        if now >= begin + more {
            Ok(())
        } else {
            Err(format!("{now} rounds, {begin} at first"))
        }
    });
}

fn has_a_life(plugin: &str) {
    if !with_plugins() {
        return;
    }
    let bucket = Bucket::new(plugin);
    for (key, length) in OBJECTS {
        bucket.put(key, &bytes(length));
    }
    let namespace = Namespace::new(plugin);
    let own = (settings().get("S3_KEY"), settings().get("S3_SECRET"));
    let _ = namespace.apply(&keys("own", &own.0, &own.1)).expect_ok();
    let manifest = format!(
        "{}  cache: {{mode: Always, plugin: {plugin}, capacity: 100Mi, replicas: 2, warmup: {{when: Create, paths: [train/]}}}}\n",
        dataset_with_secret("books", &bucket.name, "own")
    );
    let _ = namespace.apply(&manifest).expect_ok();
    let endpoint = served(&namespace, "books");

    let is_done = |cache: &Value| cache["warmup"]["state"] == "Done";
    let filled = cache_says(&namespace, "the cache to be filled ahead", is_done);
    assert_eq!(filled["warmup"]["objects"], 2, "{filled}");
    let keeps = |cache: &Value| cache["used"].is_string() && cache["used"] != "0";
    let told = cache_says(&namespace, "the shards to say what they keep", keeps);
    assert!(!told["placements"].as_array().unwrap().is_empty(), "{told}");

    compare(&namespace);
    let had = |cache: &Value| cache["hitRatio"].as_u64() > Some(0);
    let _ = cache_says(&namespace, "the shards to say what they had", had);

    // One of them starts anew beneath the reader.
    let cache = name_of(&endpoint);
    let cache = cache.trim_end_matches("-any");
    let shard = caches(&[
        "get",
        "pods",
        "-l",
        &format!("dlf.dev/cache={cache}"),
        "-o",
        "name",
    ]);
    let shard = shard.lines().next().unwrap().to_owned();
    let _ = caches(&["delete", &shard, "--force", "--grace-period=0"]);
    rounds(&namespace, 3);

    // Its keys follow the source's.
    let secret = format!("{cache}-source");
    let has = |key: &str| {
        let data = &find("secret", CACHES, &secret).unwrap()["data"][key];
        data.as_str().unwrap_or_default().to_owned()
    };
    let before = has("accessKeyID");
    let reader = (
        settings().get("S3_READER_KEY"),
        settings().get("S3_READER_SECRET"),
    );
    let _ = namespace
        .apply(&keys("own", &reader.0, &reader.1))
        .expect_ok();
    eventually(
        "the cache's keys to follow the source's",
        NAMED_WITHIN,
        || {
            let now = has("accessKeyID");
            if now == before { Err(now) } else { Ok(()) }
        },
    );
    let _ = namespace.apply(&keys("own", &own.0, &own.1)).expect_ok();
    rounds(&namespace, 3);

    // It goes beneath the reader, with its keys.
    let off = r#"{"spec":{"cache":{"mode":"Off"}}}"#;
    let _ = namespace
        .kubectl(&["patch", DATASETS, "books", "--type=merge", "-p", off])
        .expect_ok();
    eventually("the cache to go", CACHED_WITHIN, || {
        let left = objects(&namespace);
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.join(", "))
        }
    });
    rounds(&namespace, 2);
    let _ = namespace.exec("compare", "touch /tmp/stop").expect_ok();
    namespace.wait_phase("compare", "Succeeded", NAMED_WITHIN);
}

#[test]
fn a_cache_planned_in_python_is_filled_told_of_killed_and_withdrawn_beneath_a_reader() {
    has_a_life("shelf");
}

#[test]
fn a_cache_planned_in_rust_is_filled_told_of_killed_and_withdrawn_beneath_a_reader() {
    has_a_life("shelf-rust");
}

#[test]
fn a_plugin_that_needs_keys_gets_none_that_were_not_granted() {
    if !with_plugins() {
        return;
    }
    assert_eq!(seen("needy")["needs"][0], "source-keys");
    let bucket = Bucket::new("needy");
    let namespace = Namespace::new("needy");
    let _ = namespace
        .apply(&cached("books", &bucket.name, "needy"))
        .expect_ok();
    let kind = format!("{DATASETS}/books");
    // The source is asked first.
    let message = namespace.await_condition(
        &kind,
        "CacheReady",
        "False",
        CACHED_WITHIN,
        |reason, message| {
            if reason == "NotGranted" {
                Ok(message.to_owned())
            } else {
                Err(format!("{reason}: {message}"))
            }
        },
    );
    assert!(message.contains("plugins.needy.grants"), "{message}");
    assert_eq!(objects(&namespace), Vec::<String>::new());
}
