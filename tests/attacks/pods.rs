//! From within a pod: what of the node, of our programs and of other datasets is in its reach.

use dlf_tests::{Bucket, POD_WITHIN, REFUSED, SLEEP, contains, dataset, kubectl, pod};

use crate::tenant::{Neighbour, Tenant};

/// Runs as root with what a container has by default, and looks around. (The brackets keep a pattern
/// from finding this very script.)
const LOOK_AROUND: &str = r#"
test "$(id -u)" = 0
cat /mnt/datasets/books/it.txt
test ! -e /var/lib/kubelet
test -z "$(find / -xdev -type s)"
refused grep -E "csi[.]dlf|m[.]sock|csi[.]sock" /proc/net/unix
for process in /proc/[0-9]*; do tr "\0" " " < $process/cmdline || true; done > /tmp/processes
refused grep "dl[f]-" /tmp/processes
mknod /tmp/fuse c 10 229
refused head -c 1 /tmp/fuse
refused mount -t tmpfs none /mnt
refused mount --bind /mnt/datasets /tmp
refused umount /mnt/datasets/books
refused chroot /proc/1/root/../.. test -e /var/lib/kubelet
cd /mnt/datasets/books/..; test "$(ls)" = books
! cp /bin/cat /mnt/datasets/books/cat || ! chmod u+s /mnt/datasets/books/cat || test ! -u /mnt/datasets/books/cat
echo nothing else
"#;

#[test]
fn a_root_pod_reaches_neither_the_node_nor_our_programs() {
    // Another dataset is mounted on the same node, whose files and processes might be seen.
    let neighbour = Neighbour::new("mounted");
    let namespace = &neighbour.tenant.namespace;
    let reader = pod("reader", "dataset.0.id: books", SLEEP, "");
    let _ = neighbour.tenant.apply(&reader).expect_ok();
    namespace.wait_ready("reader", POD_WITHIN);
    let node = namespace.get("pod", "reader")["spec"]["nodeName"].clone();
    let more = format!(
        "  nodeName: {}\n  securityContext: {{runAsUser: 0}}\n",
        node.as_str().unwrap()
    );
    let thief = Tenant::new("rooted");
    let bucket = Bucket::new("rooted");
    bucket.put("it.txt", b"mine\n");
    let _ = thief.apply(&dataset("books", &bucket.name, "")).expect_ok();
    // A block scalar: the script holds quotes of both kinds.
    let lines: Vec<String> = [REFUSED, LOOK_AROUND]
        .iter()
        .flat_map(|part| part.lines())
        .map(|line| format!("      {line}"))
        .collect();
    let script = lines.join("\n");
    let looking = pod("looking", "dataset.0.id: books", "SCRIPT", &more).replace(
        "command: [sh, -euc, 'SCRIPT']\n",
        &format!("command:\n    - sh\n    - -euc\n    - |\n{script}\n"),
    );
    let _ = thief.apply(&looking).expect_ok();
    thief
        .namespace
        .wait_phase("looking", "Succeeded", POD_WITHIN);
    let log = thief.kubectl(&["logs", "looking"]).expect_ok();
    assert!(
        log.starts_with("mine\n") && log.ends_with("nothing else\n"),
        "{log}"
    );
}

const RESTRICTED_POD: &str = "  securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}\n";
const RESTRICTED: &str =
    "    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}\n";

#[test]
fn under_pod_security_a_dataset_is_used_and_the_node_is_out_of_reach() {
    let bucket = Bucket::new("restricted");
    bucket.put("it.txt", b"mine\n");
    let tenant = Tenant::new("restricted");
    let name = &tenant.namespace.name;
    let enforce = "pod-security.kubernetes.io/enforce=restricted";
    let _ = kubectl(&["label", "namespace", name, enforce]).expect_ok();
    // The tenant cannot take it off.
    let refused = tenant
        .kubectl(&[
            "label",
            "namespace",
            name,
            "pod-security.kubernetes.io/enforce-",
        ])
        .expect_refused();
    contains(&refused, "forbidden").unwrap();
    let _ = tenant
        .apply(&dataset("books", &bucket.name, ""))
        .expect_ok();
    let labels = "dataset.0.id: books, dataset.0.useas: mount.configmap";
    let script = "cat /mnt/datasets/books/it.txt; echo mine > /mnt/datasets/books/new.txt";
    let user = pod("user", labels, script, RESTRICTED_POD) + RESTRICTED;
    let _ = tenant.apply(&user).expect_ok();
    tenant.namespace.wait_phase("user", "Succeeded", POD_WITHIN);
    assert_eq!(bucket.get("new.txt").unwrap(), b"mine\n");
    let volume =
        "  volumes: [{name: node, hostPath: {path: /var/lib/kubelet/plugins/csi.dlf.dev}}]\n";
    let mounts = "    volumeMounts: [{name: node, mountPath: /node}]\n";
    for (more, container, named) in [
        (volume, format!("{RESTRICTED}{mounts}"), "hostPath"),
        (
            "  hostNetwork: true\n",
            RESTRICTED.to_owned(),
            "hostNetwork",
        ),
        (
            "  hostPID: true\n",
            RESTRICTED.to_owned(),
            "host namespaces",
        ),
        (
            "",
            "    securityContext: {privileged: true}\n".to_owned(),
            "privileged",
        ),
    ] {
        let attempt = pod(
            "attempt",
            labels,
            "true",
            &format!("{RESTRICTED_POD}{more}"),
        );
        let refused = tenant.apply(&(attempt + &container)).expect_refused();
        contains(&refused, "PodSecurity").unwrap();
        contains(&refused, named).unwrap();
    }
}
