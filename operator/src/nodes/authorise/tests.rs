use std::sync::Mutex;

use dlf_wire::nodes::v1::Failure;
use serde_json::json;

use super::*;

/// Pods of a cluster that counts how often it is asked.
#[derive(Default)]
struct Cluster {
    cached: Option<SlimPod>,
    live: Option<SlimPod>,
    asked: Mutex<usize>,
}

#[async_trait]
impl FindPod for Cluster {
    fn cached(&self, _: &str, _: &str) -> Option<SlimPod> {
        self.cached.clone()
    }

    async fn live(&self, _: &str, _: &str) -> Result<Option<SlimPod>, String> {
        *self.asked.lock().unwrap() += 1;
        Ok(self.live.clone())
    }
}

fn config() -> DatasetConfig {
    DatasetConfig {
        namespace: "ns".into(),
        name: "books".into(),
        ..DatasetConfig::default()
    }
}

fn asking() -> PodRef {
    PodRef {
        namespace: "ns".into(),
        name: "reader".into(),
        uid: "u1".into(),
    }
}

fn pod(labels: &serde_json::Value, annotations: &serde_json::Value) -> SlimPod {
    serde_json::from_value(json!({
        "metadata": {
            "namespace": "ns", "name": "reader", "uid": "u1",
            "labels": labels, "annotations": annotations,
        },
        "spec": {
            "nodeName": "n1",
            "volumes": [{ "persistentVolumeClaim": { "claimName": "books" } }],
        },
    }))
    .unwrap()
}

fn plain() -> SlimPod {
    pod(&json!({}), &json!({}))
}

#[test]
fn a_pod_that_mounts_the_claim_by_itself_sees_all_of_it() {
    assert_eq!(
        judge(&plain(), "n1", &config(), &asking()),
        Ok(Share::default())
    );
}

#[test]
fn a_labelled_pod_sees_what_it_asked_for() {
    let labels = json!({ "dataset.0.id": "other", "dataset.1.id": "books" });
    let annotations = json!({ "dataset.1.subpath": "a/b", "dataset.1.readonly": "true" });
    let share = judge(&pod(&labels, &annotations), "n1", &config(), &asking());
    assert_eq!(
        share,
        Ok(Share {
            subpath: "a/b".into(),
            readonly: true
        })
    );
}

#[test]
fn everything_the_driver_says_is_checked() {
    let refused = |node: &str, config: &DatasetConfig, pod: &PodRef| {
        Failure::from(judge(&plain(), node, config, pod).unwrap_err())
    };
    let elsewhere = refused("n2", &config(), &asking());
    assert_eq!(elsewhere.reason, "PodNotHere");
    assert_eq!(elsewhere.message, "pod ns/reader is not on node n2");
    let recreated = PodRef {
        uid: "u2".into(),
        ..asking()
    };
    assert_eq!(refused("n1", &config(), &recreated).reason, "NoSuchPod");
    let other = DatasetConfig {
        name: "secrets".into(),
        ..config()
    };
    assert_eq!(refused("n1", &other, &asking()).reason, "ClaimNotMounted");
    // The same names in another namespace.
    let other = DatasetConfig {
        namespace: "theirs".into(),
        ..config()
    };
    assert_eq!(refused("n1", &other, &asking()).reason, "ClaimNotMounted");
    let bad = pod(&json!({ "dataset.x.id": "books" }), &json!({}));
    assert!(matches!(
        judge(&bad, "n1", &config(), &asking()),
        Err(Denial::Labels { .. })
    ));
}

#[tokio::test]
async fn the_api_server_is_asked_only_when_what_is_known_says_no() {
    let known = Cluster {
        cached: Some(plain()),
        ..Cluster::default()
    };
    assert!(share(&known, "n1", &config(), &asking()).await.is_ok());
    assert_eq!(*known.asked.lock().unwrap(), 0);

    let mut unscheduled = plain();
    unscheduled.spec.node_name = None;
    let behind = Cluster {
        cached: Some(unscheduled),
        live: Some(plain()),
        ..Cluster::default()
    };
    assert!(share(&behind, "n1", &config(), &asking()).await.is_ok());
    assert_eq!(*behind.asked.lock().unwrap(), 1);

    let nobody = Cluster::default();
    let refused = share(&nobody, "n1", &config(), &asking()).await;
    assert!(
        matches!(refused, Err(Denial::NoSuchPod { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_few_pods_speak_for_a_mount_however_many_are_named() {
    let nobody = Cluster::default();
    assert!(!vouched(&nobody, "n1", &config(), &vec![asking(); 100]).await);
    assert_eq!(*nobody.asked.lock().unwrap(), VOUCHERS_MAX);
}
