//! What a Dataset makes, and how it says what is wrong with its source.

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, contains, dataset, dataset_with_secret, eventually,
    is_given, keys, on_our_own_cluster, settings, source,
};
use serde_json::json;

#[test]
fn a_dataset_of_either_group_makes_its_parts() {
    let bucket = Bucket::new("parts");
    for group in ["com.ie.ibm.hpsys", "datashim.io"] {
        let namespace = Namespace::new("parts");
        let manifest = dataset("books", &format!("{}/train", bucket.name), "");
        let _ = namespace
            .apply(&manifest.replace("com.ie.ibm.hpsys", group))
            .expect_ok();
        let kind = format!("datasets.{group}/books");
        let _ = namespace.wait_condition(&kind, "Ready", "True", NAMED_WITHIN);
        let claim = namespace.get("pvc", "books");
        assert_eq!(claim["metadata"]["labels"]["dataset"], "books");
        assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteMany"]));
        namespace.wait_bound("books");
        let map = namespace.get("configmap", "books");
        assert_eq!(map["data"]["bucket"], bucket.name.as_str());
        assert_eq!(map["data"]["folder"], "train");
        let secret = namespace.get("secret", "books");
        assert!(secret["data"]["secretAccessKey"].is_string());
        let dataset = namespace.get(&format!("datasets.{group}"), "books");
        assert_eq!(dataset["status"]["provision"]["status"], "OK");
        assert_eq!(dataset["status"]["caching"]["status"], "Disabled");
    }
}

#[test]
fn what_is_wrong_with_a_source_is_named() {
    if !is_given(&["NFS_SERVER", "S3_TLS_ENDPOINT"]) {
        return;
    }
    let bucket = Bucket::new("wrong");
    let namespace = Namespace::new("wrong");
    let endpoint = settings().get("S3_ENDPOINT");
    let with = |from: &str, to: &str| dataset("NAME", &bucket.name, "").replace(from, to);
    let at = |to: &str| with(&endpoint, to);
    let nfs = |share: &str| {
        let server = settings().get("NFS_SERVER");
        source(
            "NAME",
            &format!("type: NFS, server: {server}, share: {share}"),
        )
    };
    let cases = [
        (
            "no-bucket",
            with(&format!("\"{}\"", bucket.name), "\"no-such-bucket\""),
            "NoSuchBucket",
        ),
        (
            "wrong-keys",
            with(&settings().get("S3_SECRET"), "wrong"),
            "KeysRejected",
        ),
        ("nobody", at("http://10.85.255.2:9"), "Unreachable"),
        ("loopback", at("http://127.0.0.1:8333"), "AddressNotAllowed"),
        (
            "api-server",
            at("https://10.96.0.1:443"),
            "AddressNotAllowed",
        ),
        (
            "kubelet",
            at("https://10.85.255.11:10250"),
            "AddressNotAllowed",
        ),
        ("black-hole", at("http://10.85.255.99:80"), "Unreachable"),
        (
            "unknown-ca",
            at(&settings().get("S3_TLS_ENDPOINT")),
            "TlsFailed",
        ),
        ("no-share", nfs("/no/such/share"), "NoSuchShare"),
    ];
    for (name, manifest, _) in &cases {
        let _ = namespace.apply(&manifest.replace("NAME", name)).expect_ok();
    }
    for (name, _, reason) in &cases {
        let kind = format!("{DATASETS}/{name}");
        let found = namespace.wait_condition(&kind, "SourceReachable", "False", NAMED_WITHIN);
        assert_eq!(&found.0, reason, "{name}: {}", found.1);
        eventually(&format!("an event of {name}"), NAMED_WITHIN, || {
            contains(&namespace.events(name), reason)
        });
    }
}

#[test]
fn many_datasets_at_an_endpoint_where_nobody_answers_are_all_named_in_time() {
    // A worker asks an endpoint two questions at once, and here each takes twelve seconds.
    const MANY: usize = 40;
    let namespace = Namespace::new("nobody");
    let one = |number: usize| {
        let local =
            format!("type: COS, endpoint: \"http://10.85.255.99:81\", bucket: bucket-{number}");
        source(&format!("d{number}"), &local) + "---\n"
    };
    let all: String = (0..MANY).map(one).collect();
    let _ = namespace.apply(&all).expect_ok();
    eventually("all to be named", NAMED_WITHIN, || {
        let all = namespace.list(DATASETS, "");
        let named = all.iter().filter(|dataset| {
            let own = format!(
                "bucket bucket-{}",
                &dataset["metadata"]["name"].as_str().unwrap()[1..]
            );
            let said = dataset["status"]["provision"]["info"].as_str();
            said.is_some_and(|said| said.starts_with(&own))
        });
        match named.count() {
            MANY => Ok(()),
            named => Err(format!("{named} of {MANY}")),
        }
    });
}

#[test]
fn a_late_secret_heals_by_itself() {
    let bucket = Bucket::new("late");
    let namespace = Namespace::new("late");
    let _ = namespace
        .apply(&dataset_with_secret("books", &bucket.name, "my-keys"))
        .expect_ok();
    let dataset = format!("{DATASETS}/books");
    namespace.await_condition(
        &dataset,
        "Ready",
        "False",
        NAMED_WITHIN,
        |reason, message| contains(message, "my-keys").and(contains(reason, "SecretMissing")),
    );
    let _ = namespace.get("pvc", "books"); // the claim is made whatever the Secret
    let (key, secret) = (settings().get("S3_KEY"), settings().get("S3_SECRET"));
    let _ = namespace.apply(&keys("my-keys", &key, &secret)).expect_ok();
    namespace.wait_dataset("books");
}

#[test]
fn two_namespaces_hold_datasets_of_one_name_of_every_type() {
    if !on_our_own_cluster("it needs a host path that the configuration allows") {
        return;
    }
    let bucket = Bucket::new("twins");
    let settings = settings();
    let (server, share) = (settings.get("NFS_SERVER"), settings.get("NFS_SHARE"));
    let manifests = [
        dataset("bucket", &bucket.name, ""),
        source(
            "share",
            &format!("type: NFS, server: {server}, share: {share}"),
        ),
        source(
            "disk",
            "type: HOST, path: /var/tmp/dlf-scratch/twins, hostPathType: CreateNew",
        ),
    ]
    .join("---\n");
    let names = ["bucket", "share", "disk"];
    let namespaces = [
        Namespace::new("host-path-twin"),
        Namespace::new("host-path-twin"),
    ];
    for namespace in &namespaces {
        let _ = namespace.apply(&manifests).expect_ok();
    }
    for name in names {
        let volumes = namespaces.each_ref().map(|namespace| {
            namespace.wait_dataset(name);
            namespace.wait_bound(name);
            namespace.get("pvc", name)["spec"]["volumeName"].clone()
        });
        assert_ne!(volumes[0], volumes[1]);
    }
    let entries = |name: &str| namespaces[0].get("configmap", name)["data"].clone();
    assert_eq!(entries("share")["server"], server.as_str());
    assert_eq!(entries("share")["share"], share.as_str());
    assert_eq!(entries("disk")["path"], "/var/tmp/dlf-scratch/twins");
}
