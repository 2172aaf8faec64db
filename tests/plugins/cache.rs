//! A Dataset's cache, planned by the example in Rust and by the one in Python.

use std::time::Duration;

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, Reader, await_object, contains, eventually, find,
    kubectl,
};

use crate::installed::{
    CACHED_WITHIN, CACHES, PluginAway, asked, cached, caches, leader_says, name_of, objects, seen,
    served, wait_gone, with_plugins,
};

/// Reads a file through a plugin's cache, and again when the source has lost it.
fn reads_from_cache(plugin: &str) {
    let bucket = Bucket::new("cached");
    let namespace = Namespace::new("cached");
    bucket.put("kept.txt", b"from the cache\n");
    let _ = namespace
        .apply(&cached("books", &bucket.name, plugin))
        .expect_ok();
    namespace.wait_dataset("books");
    let endpoint = served(&namespace, "books");
    let labels = "dataset.0.id: books, dataset.0.useas: mount.configmap";
    let script = "cat /mnt/datasets/books/kept.txt; echo $DATASET_0_ENDPOINT; echo new > /mnt/datasets/books/written.txt";
    let log = namespace.run_pod("first", labels, script, "");
    assert_eq!(log, format!("from the cache\n{endpoint}\n"));
    assert_eq!(bucket.get("written.txt").unwrap(), b"new\n");
    eventually(
        "bytes that came through a cache to be counted",
        NAMED_WITHIN,
        || {
            let metrics = leader_says("metrics");
            let counted = metrics
                .lines()
                .find(|line| line.starts_with("dlf_usage_cache_read_bytes_total"));
            match counted {
                Some(line) if !line.ends_with(" 0") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        },
    );
    let events = namespace.events("books");
    contains(&events, "CacheReady").unwrap();
    // What it has answered once it answers when the source has lost it.
    let answered = asked(&namespace, "once", &endpoint, &bucket);
    assert_eq!(answered, "from the cache\n");
    bucket.delete("kept.txt");
    let answered = asked(&namespace, "again", &endpoint, &bucket);
    assert_eq!(answered, "from the cache\n");
    let cache = name_of(&endpoint);
    let policy = find("networkpolicy", CACHES, &cache).unwrap();
    let from = policy["spec"]["ingress"][0]["from"].to_string();
    contains(&from, &namespace.name).unwrap();
    assert_eq!(seen(plugin)["state"], "ready");
    contains(&leader_says("metrics"), "dlf_caches{state=\"Ready\"} ").unwrap();
    // Another source is another cache.
    let other = Bucket::new("cached-other");
    other.put("kept.txt", b"from the other\n");
    let edit = format!(r#"{{"spec":{{"local":{{"bucket":"{}"}}}}}}"#, other.name);
    let _ = namespace
        .kubectl(&["patch", DATASETS, "books", "--type=merge", "-p", &edit])
        .expect_ok();
    eventually("a cache of the other bucket", CACHED_WITHIN, || {
        let now = name_of(&served(&namespace, "books"));
        if now == cache { Err(now) } else { Ok(()) }
    });
    let script = "cat /mnt/datasets/books/kept.txt";
    let log = namespace.run_pod("second", "dataset.0.id: books", script, "");
    assert_eq!(log, "from the other\n");
    // A finished pod holds its claim.
    let _ = namespace
        .kubectl(&["delete", "pod", "first", "second"])
        .expect_ok();
    let _ = namespace
        .kubectl(&["delete", DATASETS, "books"])
        .expect_ok();
    assert_eq!(objects(&namespace), Vec::<String>::new(), "all of it goes");
}

#[test]
fn a_dataset_is_served_through_the_plugin_in_rust() {
    if with_plugins() {
        reads_from_cache("nginx");
    }
}

#[test]
fn a_dataset_is_served_through_the_plugin_in_python() {
    if with_plugins() {
        reads_from_cache("varnish");
    }
}

#[test]
fn a_cache_that_dies_changes_and_goes_is_not_noticed_by_a_reader() {
    if !with_plugins() {
        return;
    }
    let bucket = Bucket::new("cache-life");
    let manifest = cached("books", &bucket.name, "nginx");
    let reader = Reader::of("cache-life", bucket, &manifest);
    let namespace = &reader.namespace;
    let first = name_of(&served(namespace, "books"));
    reader.goes_on();
    let device = reader.device();
    let ready_since = || {
        let conditions = namespace.get(DATASETS, "books")["status"]["conditions"].clone();
        let mut all = conditions.as_array().cloned().unwrap_or_default();
        all.retain(|one| one["type"] == "Ready" && one["status"] == "True");
        all.pop().map(|one| one["lastTransitionTime"].clone())
    };
    let since = ready_since();
    assert!(since.is_some(), "it is ready");

    let label = format!("dlf.dev/cache={first}");
    let kill = ["--force", "--grace-period=0"];
    let _ = caches(&[&["delete", "pod", "-l", &label], &kill[..]].concat());
    reader.goes_on();

    // What somebody deletes is made again.
    let _ = caches(&["delete", "service", &first]);
    let (what, service) = ("the Service to be made again", ("service", CACHES, &*first));
    await_object(what, CACHED_WITHIN, service, |service| {
        service
            .map(|_| ())
            .ok_or_else(|| "there is none".to_owned())
    });
    reader.goes_on();
    let _ = served(namespace, "books");
    assert_eq!(ready_since(), since, "it was ready throughout");

    // Another plugin is another cache.
    let patch = |patch: &str| {
        let _ = namespace
            .kubectl(&["patch", DATASETS, "books", "--type=merge", "-p", patch])
            .expect_ok();
    };
    patch(r#"{"spec":{"cache":{"plugin":"varnish"}}}"#);
    eventually("the other cache", CACHED_WITHIN, || {
        let now = name_of(&served(namespace, "books"));
        if now == first { Err(now) } else { Ok(()) }
    });
    wait_gone(namespace, &first);
    reader.goes_on();

    patch(r#"{"spec":{"cache":{"mode":"Off"}}}"#);
    wait_gone(namespace, "cache-");
    reader.goes_on();
    assert_eq!(reader.errors(), "");
    assert_eq!(reader.device(), device, "the mount is the one it was");
    contains(&namespace.events("books"), "CacheWithdrawn").unwrap();
}

#[test]
fn what_a_plugin_planned_stays_while_it_is_away_and_when_the_operator_dies() {
    if !with_plugins() {
        return;
    }
    let bucket = Bucket::new("cache-away");
    let manifest = cached("books", &bucket.name, "nginx");
    let reader = Reader::of("cache-away", bucket, &manifest);
    let namespace = &reader.namespace;
    let endpoint = served(namespace, "books");
    let cache = name_of(&endpoint);
    let uid = || {
        let deployment = find("deployment", CACHES, &cache).unwrap();
        deployment["metadata"]["uid"].clone()
    };
    let before = uid();
    let away = PluginAway::is("nginx");
    let edit = r#"{"spec":{"cache":{"capacity":"200Mi"}}}"#;
    let _ = namespace
        .kubectl(&["patch", DATASETS, "books", "--type=merge", "-p", edit])
        .expect_ok();
    let kind = format!("{DATASETS}/books");
    let (reason, message) = namespace.wait_condition(&kind, "CacheReady", "Unknown", CACHED_WITHIN);
    assert!(reason.starts_with("Plugin"), "{reason}: {message}");
    contains(&message, "plugin nginx").unwrap();
    contains(&message, "what was there stays").unwrap();
    let _ = namespace.wait_condition(&kind, "Ready", "True", NAMED_WITHIN);

    let label = "app.kubernetes.io/component=operator";
    let kill = ["--force", "--grace-period=0"];
    let pods = ["-n", "dlf-system", "delete", "pod", "-l", label];
    let _ = kubectl(&[&pods[..], &kill].concat()).expect_ok();
    let rollout = [
        "-n",
        "dlf-system",
        "rollout",
        "status",
        "deployment/dlf-operator",
    ];
    let _ = kubectl(&rollout).expect_ok();
    reader.goes_on();
    assert_eq!(uid(), before);
    let status = namespace.get(DATASETS, "books")["status"]["cache"].clone();
    assert_eq!(status["endpoint"], endpoint.as_str());

    drop(away);
    let _ = namespace.wait_condition(&kind, "CacheReady", "True", Duration::from_mins(3));
    assert_eq!(uid(), before);
    assert_eq!(reader.errors(), "");
}
