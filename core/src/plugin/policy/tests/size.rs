use super::*;

/// A plan for 1 GiB on two replicas, changed, is refused in words that contain each of `expected`.
fn refuses_all(spoil: impl FnOnce(&mut Vec<Value>), expected: &[&str]) {
    let mut objects = good();
    spoil(&mut objects);
    let refused = judge(objects, None).unwrap_err();
    for part in expected {
        assert!(refused.contains(part), "{part}: {refused}");
    }
}

fn a_claim(storage: &Value) -> Value {
    json!({ "metadata": { "name": "cache" }, "spec": { "resources": { "requests": { "storage": storage } } } })
}

#[test]
fn two_helpers_may_stand_before_the_decided_replicas_and_no_more() {
    let mut objects = good();
    objects[0]["spec"]["replicas"] = json!(4);
    assert_eq!(judge(objects, None), Ok(()));
    refuses_all(
        |objects| objects[0]["spec"]["replicas"] = json!(5),
        &[
            "Deployment c-1 have 5 replicas",
            "decided to have 2",
            "4 are the most",
        ],
    );
    refuses_all(
        |objects| {
            for name in ["c-1-a", "c-1-b", "c-1-c"] {
                let mut other = objects[0].clone();
                other["metadata"]["name"] = json!(name);
                // One, as Kubernetes has it.
                other["spec"].as_object_mut().unwrap().remove("replicas");
                objects.push(other);
            }
        },
        &["Deployment c-1, Deployment c-1-a", "5 replicas together"],
    );
    refuses_all(
        |objects| objects[0]["spec"]["replicas"] = json!("2"),
        &["spec.replicas \"2\"", "a number"],
    );
}

#[test]
fn volumes_of_all_replicas_are_the_decided_capacity_and_a_margin() {
    let limit = "/spec/template/spec/volumes/0/emptyDir/sizeLimit";
    let set = |objects: &mut Vec<Value>, value| *objects[0].pointer_mut(limit).unwrap() = value;
    let mut objects = good();
    // Half of a capacity of 1 GiB with its margin, and what each pod may have beside it.
    set(&mut objects, json!("1664Mi"));
    assert_eq!(judge(objects, None), Ok(()));
    refuses_all(
        |objects| set(objects, json!("1665Mi")),
        &[
            "Deployment c-1 are 3330 MiB",
            "decided to have 1024 MiB",
            "3328 MiB are the most",
            "divide",
        ],
    );
    refuses_all(|objects| set(objects, json!(1_u64 << 40)), &["2097152 MiB"]);
    refuses_all(
        |objects| {
            objects[0]["kind"] = json!("StatefulSet");
            objects[0]["spec"]["volumeClaimTemplates"] = json!([a_claim(&json!("2Gi"))]);
        },
        &["StatefulSet c-1 are 5120 MiB"],
    );
    refuses_all(
        |objects| {
            let mut claim = a_claim(&json!("10Gi"));
            claim["apiVersion"] = json!("v1");
            claim["kind"] = json!("PersistentVolumeClaim");
            claim["metadata"] = json!({ "namespace": "dlf-caches", "name": "c-1-data" });
            objects.push(claim);
        },
        &["PersistentVolumeClaim c-1-data", "11264 MiB"],
    );
}

#[test]
fn a_volume_without_a_limit_is_refused() {
    for volume in [
        json!({ "name": "tmp", "emptyDir": {} }),
        json!({ "name": "tmp", "emptyDir": { "medium": "Memory" } }),
        json!({ "name": "tmp", "emptyDir": { "sizeLimit": "0" } }),
        json!({ "name": "tmp", "emptyDir": { "sizeLimit": "much" } }),
        // To Kubernetes it is an emptyDir.
        json!({ "name": "tmp" }),
        json!({ "name": "tmp", "configMap": null }),
    ] {
        refuses(
            0,
            "/spec/template/spec/volumes",
            json!([volume]),
            "volume tmp of Deployment c-1 is an emptyDir of sizeLimit",
        );
    }
    refuses_all(
        |objects| objects[0]["spec"]["volumeClaimTemplates"] = json!([a_claim(&json!(null))]),
        &["claim cache of Deployment c-1 has spec.resources.requests.storage null"],
    );
}
