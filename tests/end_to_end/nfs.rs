//! NFS: objects, options and errors on the cluster; the kernel's own mount here if the nodes'
//! kernel has the client, and in a small virtual machine.

use std::{fs, path::PathBuf};

use dlf_tests::{
    DATASETS, NAMED_WITHIN, Namespace, POD_WITHIN, cluster_script, contains, eventually,
    kernel_has_nfs, on_our_own_cluster, pod, settings, skip, source, tool_is_ready, unique,
};

/// A directory of the server's share with a file; removed when dropped.
struct Export {
    directory: PathBuf,
    share: String,
}

impl Export {
    fn new() -> Self {
        let name = unique("books");
        let directory = PathBuf::from(settings().get("NFS_EXPORT_DIR")).join(&name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("hello.txt"), "hello\n").unwrap();
        let share = format!("{}/{name}", settings().get("NFS_SHARE"));
        Self { directory, share }
    }

    fn dataset(&self, name: &str, more: &str) -> String {
        let server = settings().get("NFS_SERVER");
        let local = format!("type: NFS, server: {server}, share: {}{more}", self.share);
        source(name, &local)
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn an_nfs_dataset_is_found_on_its_server_and_its_pod_reads_it_or_says_what_the_node_lacks() {
    if !on_our_own_cluster("it puts a file into the server's share") {
        return;
    }
    let (namespace, export) = (Namespace::new("nfs"), Export::new());
    let manifests = [
        export.dataset(
            "books",
            ", readonly: \"true\", mountOptions: \"vers=4.2,noatime\"",
        ),
        export.dataset("badly", ", mountOptions: \"vers=4.2,context=x\""),
    ];
    let _ = namespace.apply(&manifests.join("---\n")).expect_ok();
    let kind = format!("{DATASETS}/books");
    let _ = namespace.wait_condition(&kind, "SourceReachable", "True", NAMED_WITHIN);
    namespace.wait_bound("books");
    let map = namespace.get("configmap", "books")["data"].clone();
    assert_eq!(map["share"], export.share.as_str());
    assert_eq!(map["readonly"], "true");
    let read = "cat /mnt/datasets/books/hello.txt; ! touch /mnt/datasets/books/x";
    let pods = format!(
        "{}---\n{}",
        pod("reader", "dataset.0.id: books", read, ""),
        pod("badly", "dataset.0.id: badly", "true", "")
    );
    let _ = namespace.apply(&pods).expect_ok();
    eventually("an event that names the option", POD_WITHIN, || {
        contains(&namespace.events("badly"), "context=x")
    });
    if kernel_has_nfs() {
        namespace.wait_phase("reader", "Succeeded", POD_WITHIN);
        return;
    }
    eventually("an event that names the way out", POD_WITHIN, || {
        contains(&namespace.events("reader"), "modprobe nfs")
    });
    println!(
        "SKIPPED an_nfs_share_is_mounted_in_a_pod: this kernel has no NFS client; \
         the_drivers_own_code_mounts_a_share_in_a_virtual_machine shows it"
    );
}

/// What the virtual machine does; `$1` is the driver's program, `$2` the server, `$3` the share.
const IN_THE_MACHINE: &str = r#"
set -eu
mount_nfs() { "$driver" mount-nfs --server "$server" "$@" /mnt; }
driver=$1 server=$2 share=$3
mount_nfs --share "$share" --options vers=4.2,noatime,rsize=1048576
grep ' /mnt nfs4 ' /proc/mounts | grep -o 'vers=4.2\|noatime\|nosuid\|nodev' | sort | tr '\n' ' '
cat /mnt/hello.txt
echo from the machine >/mnt/machine.txt
umount /mnt
mount_nfs --share "$share" --options ro,vers=4.1
if touch /mnt/machine.txt; then exit 1; fi
umount /mnt
mount_nfs --share "$share/made/deep" --create
echo deep >/mnt/it.txt
umount /mnt
for bad in "--share $share/absent" "--share $share --options context=x" "--share $share --options port=9"; do
  if mount_nfs $bad; then exit 1; fi
done
"#;

/// The code of `vm.sh` for a machine that cannot have the virtual machine.
const CANNOT: i32 = 77;

#[test]
fn the_drivers_own_code_mounts_a_share_in_a_virtual_machine() {
    if !on_our_own_cluster("it puts a file into the server's share") || !tool_is_ready("vm") {
        return;
    }
    let export = Export::new();
    // The very program of the image, which `make install` leaves there.
    let driver = PathBuf::from("../target/images/csi/dlf-csi");
    let driver = driver.canonicalize().unwrap();
    let driver = driver.to_str().unwrap();
    let server = settings().get("NFS_SERVER");
    let ran = cluster_script(
        "vm.sh",
        &[
            "--with",
            driver,
            "sh",
            "-c",
            IN_THE_MACHINE,
            "sh",
            driver,
            &server,
            &export.share,
        ],
    );
    if ran.code == Some(CANNOT) {
        skip(ran.error.trim().lines().last().unwrap_or_default());
        return;
    }
    let said = format!("{}{}", ran.text, ran.error);
    assert!(ran.ok, "{said}");
    for part in [
        "noatime nodev nosuid vers=4.2 hello",
        "Read-only file system",
        &format!("has no share {}/absent", export.share),
        "\"context=x\" is unknown or not allowed",
        "does not answer",
    ] {
        contains(&said, part).unwrap();
    }
    let written = |file: &str| fs::read_to_string(export.directory.join(file)).unwrap();
    assert_eq!(written("machine.txt"), "from the machine\n");
    assert_eq!(written("made/deep/it.txt"), "deep\n");
}
