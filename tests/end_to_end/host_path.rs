//! Directories of the nodes. The test cluster's configuration allows a prefix to namespaces called
//! `host-path-…`.

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, Node, POD_WITHIN, REFUSED, contains, dataset,
    eventually, on_our_own_cluster, pod, source,
};

/// A directory of the first node below the allowed prefix, removed when dropped.
struct Scratch {
    node: Node,
    path: String,
}

impl Scratch {
    fn new(namespace: &Namespace) -> Self {
        let node = Node::all().remove(0);
        let path = format!("/var/tmp/dlf-scratch/{}", namespace.name);
        let made =
            format!("mkdir -p {path}/in && echo host > {path}/in/it.txt && ln -s /etc {path}/out");
        let _ = node.sh(&made).expect_ok();
        Self { node, path }
    }

    /// What keeps a pod on the node that has the directory.
    fn here(&self) -> String {
        format!("  nodeName: {}\n", self.node.name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.node.sh(&format!("rm -r {}", self.path));
    }
}

#[test]
fn a_host_path_is_read_and_written_and_read_only_where_it_says_so() {
    if !on_our_own_cluster("it looks at a node's disk") {
        return;
    }
    let namespace = Namespace::new("host-path-types");
    let scratch = Scratch::new(&namespace);
    let host =
        |name: &str, rest: &str| source(name, &format!("type: HOST, path: {}{rest}", scratch.path));
    let manifests = [
        host("disk", "/in"),
        host("fixed", "/in, permissions: ReadOnly"),
        host("made", "/new/deep, hostPathType: CreateNew"),
    ];
    let _ = namespace.apply(&manifests.join("---\n")).expect_ok();
    let script = format!(
        "{REFUSED}cd /mnt/datasets; cat disk/it.txt fixed/it.txt; echo mine > disk/mine.txt; cat fixed/mine.txt; \
         refused touch fixed/x; refused rm fixed/it.txt; echo made > made/it.txt"
    );
    let labels = "dataset.0.id: disk, dataset.1.id: fixed, dataset.2.id: made";
    let more = format!("{}  securityContext: {{runAsUser: 0}}\n", scratch.here());
    let log = namespace.run_pod("user", labels, &script, &more);
    assert_eq!(log, "host\nhost\nmine\n");
    let there = format!(
        "cd {}; cat in/mine.txt new/deep/it.txt; ls in",
        scratch.path
    );
    assert_eq!(
        scratch.node.sh(&there).expect_ok(),
        "mine\nmade\nit.txt\nmine.txt\n"
    );
}

#[test]
fn a_host_path_leads_nowhere_else() {
    if !on_our_own_cluster("it looks at a node's disk") {
        return;
    }
    let namespace = Namespace::new("host-path-links");
    let scratch = Scratch::new(&namespace);
    let host =
        |name: &str, rest: &str| source(name, &format!("type: HOST, path: {}{rest}", scratch.path));
    // A Dataset for each pod: while the kubelet cannot mount a volume for one pod, it makes the
    // node's other pods with that volume wait too.
    let manifests = [
        host("all", ""),
        host("linked", "/out"),
        host("absent", "/absent"),
        host("beneath", ""),
    ];
    let _ = namespace.apply(&manifests.join("---\n")).expect_ok();
    let pods = ["linked", "absent", "beneath"]
        .map(|name| {
            pod(
                name,
                &format!("dataset.0.id: {name}"),
                "true",
                &scratch.here(),
            )
        })
        .join("---\n")
        .replace(
            "name: beneath\n  labels:",
            "name: beneath\n  annotations: {dataset.0.subpath: out}\n  labels:",
        );
    let _ = namespace.apply(&pods).expect_ok();
    // In the container a link is read as the container's own: this is its /etc, not the node's.
    let script = "cat /mnt/datasets/all/out/hostname";
    let log = namespace.run_pod("inside", "dataset.0.id: all", script, &scratch.here());
    assert_eq!(log, "inside\n");
    for (name, said) in [
        ("linked", "symbolic link"),
        ("beneath", "symbolic link"),
        ("absent", "does not exist on this node"),
    ] {
        eventually(&format!("an event of {name}"), POD_WITHIN, || {
            contains(&namespace.events(name), said)
        });
    }
}

#[test]
fn host_paths_are_refused_beside_the_prefix_and_in_other_namespaces() {
    let (allowed, other) = (
        Namespace::new("host-path-allowed"),
        Namespace::new("elsewhere"),
    );
    for (namespace, path) in [
        (&allowed, "/var/tmp/dlf-scratches"),
        (&allowed, "/etc"),
        (&allowed, "/var/tmp/dlf-scratch/../../../etc"),
        (&other, "/var/tmp/dlf-scratch/books"),
    ] {
        let refused = namespace
            .apply(&source("books", &format!("type: HOST, path: {path}")))
            .expect_refused();
        contains(&refused, "spec.local.path").unwrap();
    }
}

#[test]
fn pods_of_two_namespaces_read_what_their_own_dataset_of_one_name_says() {
    if !on_our_own_cluster("it looks at a node's disk") {
        return;
    }
    let twins = ["one", "two"].map(|name| {
        let namespace = Namespace::new("host-path-twin");
        let bucket = Bucket::new(name);
        bucket.put("it.txt", name.as_bytes());
        (namespace, bucket)
    });
    let scratches = twins
        .each_ref()
        .map(|(namespace, _)| Scratch::new(namespace));
    for ((namespace, bucket), scratch) in twins.iter().zip(&scratches) {
        let mine = format!("echo {} > {}/in/it.txt", namespace.name, scratch.path);
        let _ = scratch.node.sh(&mine).expect_ok();
        let both = format!(
            "{}---\n{}",
            dataset("bucket", &bucket.name, ""),
            source("disk", &format!("type: HOST, path: {}/in", scratch.path))
        );
        let _ = namespace.apply(&both).expect_ok();
        let (kind, named) = (format!("{DATASETS}/disk"), &namespace.name);
        let _ = namespace.wait_condition(&kind, "Ready", "True", NAMED_WITHIN);
        let script = "cat /mnt/datasets/*/it.txt";
        let labels = "dataset.0.id: bucket, dataset.1.id: disk";
        let log = namespace.run_pod("reader", labels, script, &scratch.here());
        let bucket = String::from_utf8(bucket.get("it.txt").unwrap()).unwrap();
        assert_eq!(log, format!("{bucket}{named}\n"));
    }
}
