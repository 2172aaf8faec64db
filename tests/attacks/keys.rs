//! Keys stand in Secrets, in a Dataset whose user wrote them into it, and in the environment of
//! containers that ask for them there. Nowhere else, whatever goes wrong.

use dlf_tests::{
    DATASETS, NAMED_WITHIN, Namespace, POD_WITHIN, SLEEP, eventually, keys, on_our_own_cluster,
    pod, settings, source, timeout,
};

use crate::{
    search::{Keys, base64, mark},
    store::Store,
    tenant::{Tenant, unreachable_for},
};

/// A store that takes any key, and fails when it is asked for `failing`. The first session token has expired in
/// bucket `short`, which knows no other but the second.
const BRANCHES: &str = "*short*) case $token in *token1) refuse '400 Bad Request' ExpiredToken ;; *token2) list ;; \
*) refuse '403 Forbidden' InvalidAccessKeyId ;; esac ;;
*failing*) printf 'HTTP/1.1 403 Forbidden\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n' ;;
*list-type=2*) list good failing ;;
*) list ;;";

/// Datasets of that store whose keys begin with the mark.
struct Marked<'a> {
    store: Store<'a>,
    mark: String,
}

impl Marked<'_> {
    fn inline(&self, name: &str, bucket: &str, version: &str) -> String {
        let mark = &self.mark;
        let keys =
            format!("accessKeyID: {mark}id{version}, secretAccessKey: {mark}secret{version}");
        self.store.dataset(name, &format!("{bucket}, {keys}"))
    }

    fn named(&self, name: &str, bucket: &str) -> String {
        let keys = "secret-name: mine";
        self.store.dataset(name, &format!("{bucket}, {keys}"))
    }

    fn secret(&self, version: &str) -> String {
        let mark = &self.mark;
        let (id, secret) = (
            format!("{mark}named{version}"),
            format!("{mark}hidden{version}"),
        );
        keys("mine", &id, &secret) + &format!("  sessionToken: {mark}token{version}\n")
    }

    /// Of another store, which takes no such key.
    fn at(&self, name: &str, endpoint: &str) -> String {
        let mark = &self.mark;
        let keys = format!("accessKeyID: {mark}bad, secretAccessKey: {mark}bad");
        let local = format!("type: COS, endpoint: '{endpoint}', bucket: books, {keys}");
        source(name, &local)
    }

    /// Everything at its first version, and pods for some.
    fn begin(&self) -> String {
        let environment = "dataset.0.id: inline, dataset.0.useas: configmap, dataset.1.id: named, dataset.1.useas: mount.configmap";
        let settings = settings();
        let manifests = [
            self.secret("1"),
            self.inline("inline", "good", "1"),
            self.named("named", "good"),
            self.named("expired", "short"),
            self.inline("forbidden", "failing", "1"),
            self.at("rejected", &settings.get("S3_ENDPOINT")),
            self.at("nobody", "http://10.85.255.2:9"),
            self.at("loopback", "http://127.0.0.1:1"),
            self.at("tls", &settings.get("S3_TLS_ENDPOINT")),
            pod(
                "mounts",
                "dataset.0.id: inline, dataset.1.id: named",
                SLEEP,
                "",
            ),
            pod("environment", environment, SLEEP, ""),
            pod("waiting", "dataset.0.id: rejected", SLEEP, ""),
        ];
        manifests.join("---\n")
    }
}

/// Each source fails in its own way, and a file that is listed cannot be read.
fn failures_tell_no_key(namespace: &Namespace, looked_for: &Keys) {
    for (name, reason) in [
        ("expired", "KeysExpired"),
        ("forbidden", "AccessDenied"),
        ("rejected", "KeysRejected"),
        ("nobody", "Unreachable"),
        ("loopback", "AddressNotAllowed"),
        ("tls", "TlsFailed"),
    ] {
        let message = unreachable_for(namespace, name, reason);
        assert!(!looked_for.found_in(&message), "{message}");
    }
    for dataset in ["inline", "named"] {
        let read = format!("ls /mnt/datasets/{dataset}; cat /mnt/datasets/{dataset}/failing");
        let failed = namespace.exec("mounts", &read).expect_refused();
        assert!(!looked_for.found_in(&failed), "{failed}");
    }
}

fn wait_rotated(namespace: &Namespace, mark: &str) {
    for (dataset, key) in [("inline", "secret2"), ("named", "hidden2")] {
        let expected = base64(&format!("{mark}{key}"));
        let what = "the new key to be there";
        namespace.await_object(what, NAMED_WITHIN, "secret", dataset, |secret| {
            let found = secret.map(|secret| &secret["data"]["secretAccessKey"]);
            if found.is_some_and(|found| found == expected.as_str()) {
                Ok(())
            } else {
                Err("it is not".to_owned())
            }
        });
    }
}

#[test]
fn no_key_is_anywhere_but_where_it_has_to_be() {
    if !on_our_own_cluster("it looks at processes, disks and logs of the nodes") {
        return;
    }
    let tenant = Tenant::new("keys");
    let namespace = &tenant.namespace;
    let marked = Marked {
        store: Store::start(&tenant, BRANCHES),
        mark: mark(),
    };
    let looked_for = Keys::with(&marked.mark);
    let _ = tenant.apply(&marked.begin()).expect_ok();
    namespace.wait_ready("mounts", POD_WITHIN);
    namespace.wait_ready("environment", POD_WITHIN);
    failures_tell_no_key(namespace, &looked_for);
    // The search finds what is there: the environment that a container was to have.
    let uid = namespace.get("pod", "environment")["metadata"]["uid"].clone();
    let uid = uid.as_str().unwrap();
    assert!(!looked_for.processes("none").is_empty());
    looked_for.are_nowhere_else(&namespace.name, uid);
    // Rotated, by hand and by the Dataset; then gone.
    let rotated = [marked.secret("2"), marked.inline("inline", "good", "2")];
    let _ = tenant.apply(&rotated.join("---\n")).expect_ok();
    wait_rotated(namespace, &marked.mark);
    let healed = format!("{DATASETS}/expired");
    let _ = namespace.wait_condition(&healed, "SourceReachable", "True", NAMED_WITHIN);
    let _ = tenant.kubectl(&["delete", "secret", "mine"]).expect_ok();
    let kind = format!("{DATASETS}/named");
    let _ = namespace.wait_condition(&kind, "Ready", "False", NAMED_WITHIN);
    looked_for.are_nowhere_else(&namespace.name, uid);
    for kind in ["pod", DATASETS] {
        let all = ["delete", kind, "--all", &timeout(POD_WITHIN)];
        let _ = tenant.kubectl(&all).expect_ok();
    }
    eventually("the last of them to go", NAMED_WITHIN, || {
        let left = looked_for.objects();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    });
    looked_for.are_nowhere_else(&namespace.name, "none");
}
