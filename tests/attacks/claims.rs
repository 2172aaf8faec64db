//! Volumes, claims and handles of somebody else's dataset.

use std::time::Duration;

use dlf_tests::{NAMED_WITHIN, POD_WITHIN, SLEEP, contains, eventually, pod};

use crate::tenant::{Neighbour, OfCluster, Tenant};

/// A claim on a volume by its name.
fn claim(name: &str, volume: &str) -> String {
    format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\nspec:\n  storageClassName: ''\n  \
         volumeName: {volume}\n  accessModes: [ReadWriteMany]\n  resources: {{requests: {{storage: \"1\"}}}}\n"
    )
}

/// A pod that mounts a claim and has no label.
fn mounting(name: &str, claim: &str) -> String {
    let volumes =
        format!("  volumes: [{{name: data, persistentVolumeClaim: {{claimName: {claim}}}}}]\n");
    let mounts = "    volumeMounts: [{name: data, mountPath: /data}]\n";
    pod(name, "app: thief", "cat /data/*", &volumes) + mounts
}

#[test]
fn a_claim_on_a_neighbours_volume_is_never_bound() {
    let neighbour = Neighbour::new("owner");
    let thief = Tenant::new("thief");
    let manifests = [
        claim("books", &neighbour.handle()),
        mounting("thief", "books"),
    ];
    let _ = thief.apply(&manifests.join("---\n")).expect_ok();
    // Kubernetes' binder looks at a waiting claim every 15 s.
    eventually("Kubernetes to say why", Duration::from_mins(1), || {
        contains(
            &thief.namespace.events("books"),
            "already bound to a different claim",
        )
    });
    // Nor in the moment when the volume has lost its claim.
    let owner = &neighbour.tenant.namespace;
    let before = owner.get("pvc", "books")["metadata"]["uid"].clone();
    let delete = ["delete", "pvc", "books", "--wait=false"];
    let _ = neighbour.tenant.kubectl(&delete).expect_ok();
    let _ = owner.wait_made_again("pvc", "books", &before);
    owner.wait_bound("books");
    let phase = |kind: &str, name: &str| thief.namespace.get(kind, name)["status"]["phase"].clone();
    assert_eq!(phase("pvc", "books"), "Pending");
    assert_eq!(phase("pod", "thief"), "Pending");
    neighbour.is_unharmed();
}

#[test]
fn a_forged_volume_is_refused_when_it_is_mounted() {
    let neighbour = Neighbour::new("forgery");
    let reader = pod("reader", "dataset.0.id: books", SLEEP, "");
    let _ = neighbour.tenant.apply(&reader).expect_ok();
    neighbour.tenant.namespace.wait_ready("reader", POD_WITHIN);
    let thief = Tenant::new("forger");
    let namespace = &thief.namespace.name;
    // The claim even has the name of the neighbour's.
    let owner = &neighbour.tenant.namespace.name;
    let handle = neighbour.handle();
    let not_mounted = format!("mounts no claim {owner}/books");
    // Of its own in each run: the kubelet makes all pods of a node wait whose volume has one handle.
    let unknown = format!("dlf-00000000-0000-0000-0000-{:012}", std::process::id());
    let cases = [
        ("books", handle.as_str(), not_mounted.as_str()),
        ("unknown", &unknown, "no dataset has the volume"),
        ("upwards", "../../../etc", "not a handle of this driver"),
    ];
    let mut volumes = Vec::new();
    for (name, handle, _) in &cases {
        let volume = format!("{namespace}-{name}");
        let manifest = format!(
            "apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: {volume}}}\nspec:\n  capacity: {{storage: 1Gi}}\n  \
             accessModes: [ReadWriteMany]\n  persistentVolumeReclaimPolicy: Retain\n  \
             csi: {{driver: csi.dlf.dev, volumeHandle: '{handle}'}}\n"
        );
        let refused = thief.apply(&manifest).expect_refused();
        contains(&refused, "forbidden").unwrap();
        volumes.push(OfCluster::make("pv", &volume, &manifest));
        let both = format!("{}---\n{}", claim(name, &volume), mounting(name, name));
        let _ = thief.apply(&both).expect_ok();
    }
    for (name, _, said) in &cases {
        eventually(&format!("an event of {name}"), POD_WITHIN, || {
            contains(&thief.namespace.events(name), said)
        });
    }
    // (A new pod of the neighbour's on that node may have to wait: the kubelet backs off by handle.
    // Only who may make volumes can bring that about.)
    neighbour.bucket.put("later.txt", b"later\n");
    let script = "cat /mnt/datasets/books/later.txt";
    let read = neighbour.tenant.namespace.exec("reader", script);
    assert_eq!(read.expect_ok(), "later\n");
}

#[test]
fn a_volume_written_into_a_pod_is_refused() {
    let neighbour = Neighbour::new("inline");
    let thief = Tenant::new("inliner");
    let attributes = format!(
        "{{volumeHandle: {}, csi.storage.k8s.io/pod.namespace: {}}}",
        neighbour.handle(),
        neighbour.tenant.namespace.name
    );
    let volumes = format!(
        "  volumes: [{{name: data, csi: {{driver: csi.dlf.dev, volumeAttributes: {attributes}}}}}]\n"
    );
    let mounts = "    volumeMounts: [{name: data, mountPath: /data}]\n";
    let inline = pod("inline", "app: thief", "cat /data/*", &volumes) + mounts;
    let _ = thief.apply(&inline).expect_ok();
    eventually("an event of the pod", NAMED_WITHIN, || {
        contains(&thief.namespace.events("inline"), "Ephemeral")
    });
}
