use super::*;

/// A claim that stands for itself.
fn claim() -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": { "namespace": "dlf-caches", "name": "c-1-data" },
        "spec": { "storageClassName": "fast", "resources": { "requests": { "storage": "1Gi" } } },
    })
}

fn with(claim: Value) -> Result<(), String> {
    judge([good(), vec![claim]].concat(), None)
}

#[test]
fn a_claim_on_a_volume_or_content_of_others_is_refused() {
    assert_eq!(with(claim()), Ok(()));
    for (key, value) in [
        (
            "dataSource",
            json!({ "kind": "PersistentVolumeClaim", "name": "of-another" }),
        ),
        (
            "dataSourceRef",
            json!({ "kind": "VolumeSnapshot", "name": "of-another" }),
        ),
        ("volumeName", json!("pv-of-another")),
        ("selector", json!({ "matchLabels": {} })),
    ] {
        let mut spoilt = claim();
        spoilt["spec"][key] = value.clone();
        let refused = with(spoilt.clone()).unwrap_err();
        let expected = format!("PersistentVolumeClaim c-1-data has spec.{key} {value}");
        assert!(refused.contains(&expected), "{refused}");

        let mut set = good();
        set[0]["kind"] = json!("StatefulSet");
        set[0]["spec"]["volumeClaimTemplates"] =
            json!([{ "metadata": { "name": "cache" }, "spec": spoilt["spec"] }]);
        let refused = judge(set, None).unwrap_err();
        let expected = format!("claim cache of StatefulSet c-1 has spec.{key}");
        assert!(refused.contains(&expected), "{refused}");
    }
}
