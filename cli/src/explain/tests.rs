use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{explanation::Explanation, facts::Facts};
use crate::{cluster::Looked, datasets::View};

fn now() -> Timestamp {
    "2026-01-01T00:05:00Z".parse().unwrap()
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

fn dataset(name: &str, bucket: &str) -> Value {
    json!({
        "apiVersion": "com.ie.ibm.hpsys/v1alpha1", "kind": "Dataset",
        "metadata": {
            "name": name, "namespace": "ns", "uid": "u", "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": { "local": {
            "type": "COS", "endpoint": "http://s3:9000", "bucket": bucket,
            "accessKeyID": "never", "secretAccessKey": "never-shown",
        }},
        "status": {
            "observedGeneration": 1,
            "source": format!("http://s3:9000/{bucket}"),
            "conditions": [
                condition("Ready", "True", "Ready", "pods can use it"),
                condition("InUse", "False", "NotUsed", "no pod uses it"),
            ],
        },
    })
}

fn facts(object: Value) -> Facts {
    Facts {
        view: View::read(object).unwrap(),
        internal: None,
        claim: Looked::Seen(None),
        volume: Looked::Seen(None),
        others: Looked::Seen(Vec::new()),
        everywhere: true,
        events: Looked::Seen(Vec::new()),
    }
}

fn text(facts: &Facts) -> String {
    Explanation::of(facts, now()).to_string()
}

#[test]
fn refused_writes_come_before_what_is_as_it_should_be() {
    let mut object = dataset("books", "books");
    object["status"]["conditions"] = json!([
        condition("Ready", "True", "Ready", "pods can use it"),
        condition(
            "SourceReachable",
            "True",
            "Reachable",
            "the source answered"
        ),
        condition(
            "WritesRefused",
            "True",
            "AccessDenied",
            "1 file that pods wrote"
        ),
    ]);
    let text = text(&facts(object));
    let place = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word}: {text}"));
    assert!(place("True     WritesRefused    AccessDenied") < place("SourceReachable"));
    assert!(text.contains("1 file that pods wrote"), "{text}");
}

#[test]
fn what_stands_in_the_way_comes_first_and_is_said_once() {
    let mut object = dataset("books", "books");
    let missing = "bucket books at http://s3:9000: the bucket does not exist";
    object["status"]["conditions"] = json!([
        condition("Ready", "False", "NoSuchBucket", missing),
        condition("Provisioned", "True", "Provisioned", "all exists"),
        condition("SourceReachable", "False", "NoSuchBucket", missing),
        condition("InUse", "True", "PodsUseIt", "used by pod reader"),
    ]);
    object["status"]["usage"] = json!({
        "consumers": 1, "nodes": 1, "bytesRead": 2048, "bytesWritten": 0,
        "lastUsedTime": "2026-01-01T00:04:00Z",
    });
    let mut facts = facts(object);
    facts.claim = Looked::Seen(Some(json!({
        "spec": { "volumeName": "dlf-u" },
        "status": { "phase": "Bound", "capacity": { "storage": "5Gi" } },
    })));
    facts.volume = Looked::Forbidden;
    facts.events = Looked::Seen(vec![
        json!({
            "involvedObject": { "uid": "u" }, "type": "Warning", "reason": "NoSuchBucket",
            "message": "no bucket", "eventTime": "2026-01-01T00:01:00.000000Z", "series": { "count": 3, "lastObservedTime": "2026-01-01T00:04:59.000000Z" },
        }),
        json!({ "involvedObject": { "uid": "another" }, "reason": "Created", "message": "of its namesake" }),
    ]);
    assert_eq!(
        text(&facts),
        "\
Dataset books in namespace ns (com.ie.ibm.hpsys), 5m old
Not ready: NoSuchBucket: bucket books at http://s3:9000: the bucket does not exist

Source
  COS http://s3:9000/books
  keys in the Dataset itself, seen by all who may read it; spec.local.secret-name names a Secret instead

Conditions
  False    SourceReachable  NoSuchBucket, for 5m
  False    Ready            NoSuchBucket, for 5m
  True     Provisioned      Provisioned, for 5m
           all exists
  True     InUse            PodsUseIt, for 5m

Cache: none
  nothing asks for one; spec.cache: {mode: Always} does

Used by
  used by pod reader
  mounted on 1 node
  2.0 KiB read and 0 B written so far, last used 60s ago (counted every 10 minutes)

Claim and volume
  PersistentVolumeClaim books: Bound, shown as 5Gi
  PersistentVolume dlf-u: not allowed to look

Datasets of the same bucket
  none

Events
  1s   Warning  NoSuchBucket: no bucket (x3)
"
    );
}

#[test]
fn a_cache_is_explained_by_its_decision_its_condition_and_what_asks_for_it() {
    let mut object = dataset("books", "books");
    object["metadata"]["labels"] = json!({ "cache.plugin": "other" });
    object["spec"]["cache"] = json!({ "mode": "Always", "plugin": "acme", "capacity": "2Gi" });
    object["status"]["cache"] = json!({
        "plugin": "acme", "capacity": "2Gi", "endpoint": "http://cache-1.dlf-caches.svc:8080",
        "decision": { "action": "Deploy", "reason": "spec.cache.mode is Always" },
    });
    let serving = condition("CacheReady", "True", "CacheReady", "2 of 2 replicas serve");
    object["status"]["conditions"]
        .as_array_mut()
        .unwrap()
        .push(serving);
    let text = text(&facts(object));
    let cache = "\
Cache: serves reads
  CacheReady: 2 of 2 replicas serve
  decision Deploy: spec.cache.mode is Always
  spec.cache says capacity: 2Gi, mode: Always, plugin: acme
  label cache.plugin says other, over which spec.cache goes
  plugin: acme
  endpoint: http://cache-1.dlf-caches.svc:8080
  capacity: 2Gi
";
    assert!(text.contains(cache), "{text}");
    assert!(!text.contains("never"), "keys are never shown");
}

#[test]
fn why_there_is_no_cache_is_said_even_where_nobody_wrote_it() {
    let with = |change: fn(&mut Value)| {
        let mut object = dataset("books", "books");
        change(&mut object);
        Explanation::of(&facts(object), now()).cache.why.join(" ")
    };
    let off = with(|object| object["metadata"]["labels"] = json!({ "cache.disable": "true" }));
    assert!(off.contains("cache.disable"), "{off}");
    let undecided = with(|object| object["spec"]["cache"] = json!({ "mode": "Always" }));
    assert!(undecided.contains("plugin list"), "{undecided}");
    let nfs = with(|object| {
        object["spec"]["local"] = json!({ "type": "NFS", "server": "nfs", "share": "/x" });
    });
    assert!(nfs.contains("only buckets"), "{nfs}");
    let phase = with(|object| {
        object["status"]["caching"] = json!({ "status": "Pending", "info": "plugin x decides" });
    });
    assert_eq!(phase, "plugin x decides");
}

#[test]
fn others_of_the_bucket_are_named_with_their_part() {
    let mut facts = facts(dataset("books", "books"));
    let others = [
        dataset("books", "books"),
        dataset("novels", "books/novels"),
        dataset("photos", "photos"),
    ];
    facts.others = Looked::Seen(others.into_iter().filter_map(View::read).collect());
    facts.everywhere = false;
    let text = text(&facts);
    let named = "\
Datasets of the same bucket
  ns/novels (com.ie.ibm.hpsys), novels/
  only this namespace was looked at: you may not list all
";
    assert!(text.contains(named), "{text}");
}

#[test]
fn a_dataset_that_nobody_has_looked_at_or_that_goes_says_so() {
    let verdict = |change: fn(&mut Value)| {
        let mut object = dataset("books", "books");
        change(&mut object);
        let verdict = Explanation::of(&facts(object), now()).verdict;
        (verdict.ready, verdict.reason)
    };
    let is = |reason: &str| (false, reason.to_owned());
    assert_eq!(verdict(|_| {}), (true, "Ready".to_owned()));
    assert_eq!(verdict(|object| object["status"] = Value::Null), is("New"));
    let edited = verdict(|object| object["metadata"]["generation"] = json!(2));
    assert_eq!(edited, is("Outdated"));
    let going = verdict(|object| {
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z");
    });
    assert_eq!(going, is("Deleting"));
}

#[test]
fn who_may_see_only_the_internal_gets_all_that_it_says() {
    let mut object = dataset("books", "books");
    object["kind"] = json!("DatasetInternal");
    object["metadata"]["labels"] = json!({ "dlf.dev/dataset-uid": "of-the-dataset" });
    let mut facts = facts(object);
    assert_eq!(facts.view.uid(), "of-the-dataset");
    facts.events = Looked::Seen(vec![json!({
        "involvedObject": { "uid": "of-the-dataset" }, "type": "Normal", "reason": "Created",
        "message": "seen",
    })]);
    let text = text(&facts);
    assert!(text.contains("Created: seen"), "{text}");
    assert!(text.contains("not allowed to look"), "{text}");
}
