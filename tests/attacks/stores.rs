//! What a store may answer is the tenant's who runs it; where its answers lead is not.

use dlf_tests::{NAMED_WITHIN, POD_WITHIN, SLEEP, contains, eventually, pod};

use crate::{
    addresses::{api_server, api_service},
    store::Store,
    tenant::{Tenant, unreachable_for},
};

#[test]
fn a_redirect_leads_to_no_forbidden_address() {
    let tenant = Tenant::new("redirects");
    let cases = [
        ("metadata", "http://169.254.169.254/latest/meta-data/"),
        ("loopback", "http://127.0.0.1:8080/metrics"),
        ("mapped", "http://[::ffff:127.0.0.1]:8080/"),
        ("relative", "//localhost:8080/"),
        ("trap", "http://$ADDRESS:10250/"),
        ("service", &format!("https://{}/api", api_service())),
        ("server", &format!("https://{}/api", api_server())),
    ];
    let others = [
        ("file", "file:///etc/passwd"),
        ("gopher", "gopher://127.0.0.1:6379/_FLUSHALL"),
        ("loop", "/loop?list-type=2"),
    ];
    let branch = |(name, to): &(&str, &str)| format!("/{name}*) redirect \"{to}\" ;;");
    let branches: Vec<String> = cases.iter().chain(&others).map(branch).collect();
    let store = Store::start(&tenant, &branches.join("\n"));
    for (name, _) in cases.iter().chain(&others) {
        let _ = tenant.apply(&store.dataset(name, name)).expect_ok();
    }
    for (name, _) in &cases {
        unreachable_for(&tenant.namespace, name, "AddressNotAllowed");
    }
    for (name, _) in &others {
        unreachable_for(&tenant.namespace, name, "RedirectRefused");
    }
    for (name, _) in cases.iter().chain(&others) {
        contains(&store.asked(), &format!("GET /{name}")).unwrap();
    }
    store.nothing_was_trapped();
}

#[test]
fn a_redirect_of_a_running_mount_leads_to_no_forbidden_address_either() {
    let tenant = Tenant::new("later");
    // A probe and a listing see nothing amiss: each file is elsewhere.
    let branches = "/good*list-type=2*) list trap metadata ;;\n\
                    /good/trap*) redirect \"http://$ADDRESS:10250/\" ;;\n\
                    /good/*) redirect http://169.254.169.254/latest/meta-data/ ;;";
    let store = Store::start(&tenant, branches);
    let user = pod("user", "dataset.0.id: books", SLEEP, "");
    let both = format!("{}---\n{user}", store.dataset("books", "good"));
    let _ = tenant.apply(&both).expect_ok();
    tenant.namespace.wait_ready("user", POD_WITHIN);
    for (file, script) in [
        ("trap", "cat /mnt/datasets/books/trap"),
        ("metadata", "cat /mnt/datasets/books/metadata"),
        ("written", "cp /etc/hostname /mnt/datasets/books/written"),
    ] {
        let failed = tenant.namespace.exec("user", script).expect_refused();
        contains(&failed, file).unwrap();
        contains(&store.asked(), &format!("/good/{file}")).unwrap();
    }
    store.nothing_was_trapped();
}

#[test]
fn names_of_objects_lead_out_of_no_mount() {
    let tenant = Tenant::new("names");
    // Whatever is listed, of the bucket as of the directory `in`.
    let keys = "../up ../../etc/passwd in/../../up /rooted .. . in/.. in/. in//twice ../ / ./ in/../ in// in/ good";
    let branches = format!("*list-type=2*) list {keys} ;;\n*) list ;;");
    let store = Store::start(&tenant, &branches);
    let _ = tenant.apply(&store.dataset("books", "good")).expect_ok();
    // Nor does what the mount holds become somebody else, or a device.
    let script = "cd /mnt/datasets/books; find . | sort; grep -c \" /mnt/datasets/books .*nosuid,nodev\" /proc/self/mountinfo";
    let log = tenant
        .namespace
        .run_pod("user", "dataset.0.id: books", script, "");
    assert_eq!(log, ".\n./good\n./in\n1\n");
}

#[test]
fn a_pods_annotations_lead_out_of_no_mount() {
    let tenant = Tenant::new("subpaths");
    let store = Store::start(&tenant, "*) list in/ out ;;");
    let _ = tenant.apply(&store.dataset("books", "good")).expect_ok();
    let annotated = |name: &str, annotation: &str| {
        let user = pod(name, "dataset.0.id: books", SLEEP, "");
        let annotations = format!("  annotations: {{{annotation}}}\n  labels:");
        tenant.apply(&user.replace("  labels:", &annotations))
    };
    for (annotation, key) in [
        ("dataset.0.subpath: ..", "dataset.0.subpath"),
        ("dataset.0.subpath: in/../../up", "dataset.0.subpath"),
        ("dataset.0.subpath: /etc", "dataset.0.subpath"),
        ("dataset.0.subpath: ./in", "dataset.0.subpath"),
        ("dataset.0.subpath: \"\"", "dataset.0.subpath"),
        ("dataset.0.path: /", "dataset.0.path"),
        ("dataset.0.path: etc", "dataset.0.path"),
        ("dataset.0.path: /data/../etc", "dataset.0.path"),
        ("dataset.0.path: \"/data:ro\"", "dataset.0.path"),
    ] {
        let refused = annotated("refused", annotation).expect_refused();
        contains(&refused, key).unwrap();
    }
    // Where the service account's token is, Kubernetes mounts something already.
    let token = "dataset.0.path: /var/run/secrets/kubernetes.io/serviceaccount";
    let refused = annotated("refused", token).expect_refused();
    contains(&refused, "/var/run/secrets/kubernetes.io/serviceaccount").unwrap();
    // Everywhere else it is the pod's own, as any volume of it would be; in /proc the container
    // runtime allows none.
    let _ = annotated("etc", "dataset.0.path: /etc/books").expect_ok();
    let _ = annotated("proc", "dataset.0.path: /proc/books").expect_ok();
    tenant.namespace.wait_ready("etc", POD_WITHIN);
    let found = tenant.namespace.exec("etc", "ls /etc/books");
    assert_eq!(found.expect_ok(), "in\nout\n");
    eventually("an event of proc", NAMED_WITHIN, || {
        contains(&tenant.namespace.events("proc"), "/proc")
    });
}
