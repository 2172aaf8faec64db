//! A cache that keeps what it has on a claim.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use dlf_tests::{
    Bucket, DATASETS, Namespace, eventually, kubectl, kubectl_with, list, settings, unique,
};
use serde_json::{Value, json};

use crate::installed::{
    CACHED_WITHIN, CACHES, asked, cached, caches, name_in, name_of, objects, served, with_plugins,
};

/// As `up.sh` configures the plugin.
const STORAGE_CLASS: &str = "dlf-test-caches";

/// A directory of this machine that a claim can be bound to, which both nodes see.
struct Disk {
    name: String,
    directory: PathBuf,
}

impl Disk {
    fn make() -> Self {
        let name = unique("cache-disk");
        let directory = PathBuf::from(settings().get("CLUSTER_RUN")).join(&name);
        fs::create_dir_all(&directory).unwrap();
        // A cache is nobody in particular, and Kubernetes gives these directories to nobody.
        fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
        let volume = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": { "name": name },
            "spec": {
                "storageClassName": STORAGE_CLASS,
                "capacity": { "storage": "1Gi" },
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": { "path": directory },
            },
        });
        let _ = kubectl_with(&["apply", "-f", "-"], &volume.to_string()).expect_ok();
        Self { name, directory }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = kubectl(&["delete", "pv", &self.name, "--wait=false"]);
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Claims of a cache, by name.
fn claims(cache: &str) -> Vec<String> {
    let label = format!("dlf.dev/cache={cache}");
    list("pvc", CACHES, &label).iter().map(name_in).collect()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let mut all = conditions.into_iter().flatten();
    all.any(|one| one["type"] == "Ready" && one["status"] == "True")
}

#[test]
fn a_cache_on_a_claim_outlives_its_pods_and_its_claims_go_with_it() {
    if !with_plugins() {
        return;
    }
    let _disks = [Disk::make(), Disk::make()];
    let bucket = Bucket::new("claims");
    bucket.put("kept.txt", b"from the disk\n");
    let namespace = Namespace::new("claims");
    let manifest = cached("books", &bucket.name, "kept");
    let _ = namespace.apply(&manifest).expect_ok();
    let endpoint = served(&namespace, "books");
    let cache = name_of(&endpoint);
    let first = claims(&cache);
    assert_eq!(first.len(), 1, "{first:?}");

    assert_eq!(
        asked(&namespace, "once", &endpoint, &bucket),
        "from the disk\n"
    );
    bucket.delete("kept.txt");
    let label = format!("dlf.dev/cache={cache}");
    let _ = caches(&["delete", "pod", "-l", &label]);
    eventually("the cache's next pod", CACHED_WITHIN, || {
        let pods = list("pods", CACHES, &label);
        if !pods.is_empty() && pods.iter().all(is_ready) {
            Ok(())
        } else {
            Err(format!("{pods:?}"))
        }
    });
    let again = asked(&namespace, "again", &endpoint, &bucket);
    assert_eq!(again, "from the disk\n");

    // Nothing of a claim can be changed: a larger cache is on another, and the first one goes.
    let larger = manifest.replace("100Mi", "200Mi");
    let _ = namespace.apply(&larger).expect_ok();
    eventually("another claim alone", CACHED_WITHIN, || {
        let now = claims(&cache);
        if now.len() == 1 && now != first {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    });
    let _ = served(&namespace, "books");
    let _ = namespace
        .kubectl(&["delete", DATASETS, "books"])
        .expect_ok();
    assert_eq!(objects(&namespace), Vec::<String>::new());
    eventually("the claims to go", CACHED_WITHIN, || {
        let left = claims(&cache);
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.join(", "))
        }
    });
}
