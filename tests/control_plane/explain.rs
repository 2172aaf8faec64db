//! What `kubectl explain` tells a person.

use dlf_tests::{contains, kubectl};

#[test]
fn kubectl_explains_every_key_of_a_source_and_every_field() {
    let source = kubectl(&["explain", "dataset.spec.local"]).expect_ok();
    for key in [
        "endpoint",
        "bucket",
        "folder",
        "region",
        "accessKeyID",
        "secretAccessKey",
        "secret-name",
        "readonly",
        "provision",
        "removeOnDelete",
        "ca-secret-name",
        "server",
        "share",
        "createDirPVC",
        "mountOptions",
        "path",
        "hostPathType",
        "permissions",
    ] {
        contains(&source, key).unwrap();
    }
    let fields = kubectl(&["explain", "dataset.spec", "--recursive=false"]).expect_ok();
    assert!(!fields.contains("<no description>"), "{fields}");
    let mount = kubectl(&["explain", "dataset.spec.mount"]).expect_ok();
    for text in ["/mnt/datasets/NAME by default", "COS only", "octal"] {
        contains(&mount, text).unwrap();
    }
}
