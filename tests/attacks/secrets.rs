//! Secrets of other namespaces.

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, contains, dataset_with_secret, keys, settings, source,
};
use serde_json::json;

use crate::tenant::{Neighbour, Tenant};

#[test]
fn a_secret_of_another_namespace_is_never_used() {
    let neighbour = Neighbour::new("secretive");
    let owner = &neighbour.tenant.namespace.name;
    let settings = settings();
    let good = keys(
        "their-keys",
        &settings.get("S3_KEY"),
        &settings.get("S3_SECRET"),
    );
    let _ = neighbour.tenant.apply(&good).expect_ok();
    let thief = Tenant::new("curious");
    let bucket = &neighbour.bucket.name;
    let resolved = neighbour.handle();
    let with = |more: &str| {
        let endpoint = settings.get("S3_ENDPOINT");
        source(
            "books",
            &format!("type: COS, endpoint: '{endpoint}', bucket: {bucket}, {more}"),
        )
    };
    let refused = [
        (
            format!("secret-name: 'their-keys', secret-namespace: {owner}"),
            "spec.local.secret-namespace",
        ),
        (
            format!("secret-name: '{resolved}', secret-namespace: dlf-system"),
            "spec.local.secret-namespace",
        ),
        (
            format!("secret-name: '{owner}/their-keys'"),
            "spec.local.secret-name",
        ),
        (
            format!("secret-name: '../../{owner}/secrets/their-keys'"),
            "spec.local.secret-name",
        ),
        (
            format!("secret-name: '..%2f..%2f{owner}%2fsecrets%2ftheir-keys'"),
            "spec.local.secret-name",
        ),
        (
            "secret-name: 'their-keys?x=y'".to_owned(),
            "spec.local.secret-name",
        ),
        (
            format!("ca-secret-name: '{owner}/their-keys'"),
            "spec.local.ca-secret-name",
        ),
        (
            format!("ca-secret-name: '../../{owner}/secrets/their-keys'"),
            "spec.local.ca-secret-name",
        ),
    ];
    for (more, key) in &refused {
        let said = thief.apply(&with(more)).expect_refused();
        contains(&said, key).unwrap();
    }
    // By its name alone it is one of the tenant's own namespace, where it is not.
    for name in ["their-keys", &resolved] {
        let _ = thief
            .apply(&dataset_with_secret("books", bucket, name))
            .expect_ok();
        let kind = format!("{DATASETS}/books");
        let missed = |reason: &str, message: &str| {
            contains(reason, "SecretMissing").and(contains(message, name))
        };
        thief
            .namespace
            .await_condition(&kind, "Ready", "False", NAMED_WITHIN, missed);
    }
    // An edit of what was taken is judged as a new one is.
    for (more, key) in &refused {
        let edited = thief.apply(&with(more)).expect_refused();
        contains(&edited, key).unwrap();
    }
    let patch = json!({ "spec": { "local": { "secret-namespace": owner } } }).to_string();
    let edited = thief
        .kubectl(&["patch", DATASETS, "books", "--type=merge", "-p", &patch])
        .expect_refused();
    contains(&edited, "spec.local.secret-namespace").unwrap();
}

#[test]
fn a_tenant_reaches_nothing_in_our_namespace_or_a_neighbours() {
    let neighbour = Neighbour::new("private");
    let thief = Tenant::new("prying");
    for namespace in ["dlf-system", &neighbour.tenant.namespace.name] {
        for request in [
            &["get", "secrets"][..],
            &["get", DATASETS],
            &["get", "datasetsinternal.com.ie.ibm.hpsys"],
            &["get", "pods"],
            &["create", "configmap", "mine"],
            &["create", "token", "default"],
            &["create", "token", "dlf-csi", "--audience=dlf-operator"],
        ] {
            let here = ["-n", namespace];
            let refused = thief.kubectl(&[&here, request].concat()).expect_refused();
            contains(&refused, "forbidden").unwrap();
        }
    }
    // And of what a Dataset makes of its own outside of its namespace.
    let bucket = Bucket::new("prying");
    let _ = thief
        .apply(&dataset_with_secret("books", &bucket.name, "none"))
        .expect_ok();
    let volume = thief.kubectl(&["get", "pv"]).expect_refused();
    contains(&volume, "forbidden").unwrap();
}
