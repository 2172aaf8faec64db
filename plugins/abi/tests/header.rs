//! The header for plugins in C and C++ is what the types say.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{env, fs, path::Path};

#[test]
fn the_header_is_what_the_types_say() {
    let root = Path::new(".");
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let mut header = Vec::new();
    cbindgen::Builder::new()
        .with_src(root.join("src/lib.rs"))
        .with_config(config)
        .generate()
        .unwrap()
        .write(&mut header);
    let header = String::from_utf8(header).unwrap();
    let committed = root.join("include/dlf_plugin.h");
    if env::var_os("DLF_REGENERATE").is_some() {
        fs::write(&committed, &header).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&committed).unwrap_or_default(),
        header,
        "DLF_REGENERATE=1 cargo test -p dlf-plugin-abi makes it anew"
    );
}
