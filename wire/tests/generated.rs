//! The generated code is committed; regenerating it must change nothing.
//! `DLF_REGENERATE=1 cargo test -p dlf-wire` writes it anew after a change of a `.proto`.

use std::{env, fs, path::Path};

const PROTOS: [&str; 6] = [
    "dataset.proto",
    "writes.proto",
    "nodes.proto",
    "mounter.proto",
    "csi.proto",
    "pluginregistration.proto",
];

#[test]
fn regenerating_the_wire_code_changes_nothing() {
    let root = Path::new(".");
    let fresh = env::temp_dir().join(format!("dlf-wire-{}", std::process::id()));
    fs::create_dir_all(&fresh).expect("a scratch directory");
    let descriptors = protox::compile(PROTOS, [root.join("proto")]).expect("valid .proto files");
    tonic_prost_build::configure()
        .out_dir(&fresh)
        .skip_debug(["dlf.dataset.v1.Keys", "dlf.nodes.v1.Token"])
        .compile_fds(descriptors)
        .expect("generated code");

    let committed = root.join("src/generated");
    for file in fs::read_dir(&fresh).expect("generated files") {
        let file = file.expect("a generated file");
        let text = fs::read_to_string(file.path()).expect("generated text");
        let kept = committed.join(file.file_name());
        if env::var_os("DLF_REGENERATE").is_some() {
            fs::write(&kept, text).expect("the committed file is writable");
        } else {
            let kept_text = fs::read_to_string(&kept).unwrap_or_default();
            assert!(
                text == kept_text,
                "{} is stale: see this test's head",
                kept.display()
            );
        }
    }
    fs::remove_dir_all(&fresh).expect("the scratch directory goes");
}
