//! Files that are written to through a shared mapping.

use std::fs;

use crate::support::bytes::{assert_bytes, bytes};
use crate::support::place::Setup;
use crate::support::program::python_has;

/// Pages of a file, and the bytes of the last one that is not full.
const LENGTH: usize = 40 * 4096 + 100;

/// Where is stored: over the border of two pages, and to the last byte.
const STORES: [usize; 2] = [4096 * 7 - 2, LENGTH - STORED.len()];

const STORED: &[u8] = b"HELLO";

/// Stores into mappings of files: `close` or `unmap`, what comes first; then PATH and offsets. By
/// way of libc: Python's own mappings hold a descriptor of their own.
const STORE: &str = include_str!("store.py");

const ROUNDS: usize = 10;

fn stores_arrive(test: &'static str, first: &str) {
    if !python_has(test, "ctypes") {
        return;
    }
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    let mut wanted = bytes(20, LENGTH);
    for round in 0..ROUNDS {
        place.bucket.put(&format!("f{round}"), wanted.clone());
    }
    for at in STORES {
        wanted[at..at + STORED.len()].copy_from_slice(STORED);
    }
    let offsets = STORES.map(|at| at.to_string());
    for round in 0..ROUNDS {
        let name = format!("f{round}");
        let arguments = [first, &name, &offsets[0], &offsets[1]];
        assert_eq!(place.python(STORE, &arguments).expect_ok(), "");
        assert_bytes(fs::read(place.join(&name)).unwrap(), &wanted, &name);
        if first == "unmap" {
            let object = place.bucket.get(&name).unwrap();
            assert_bytes(object, &wanted, "the object, after close(2)");
        }
    }
    let bucket = place.end();
    for round in 0..ROUNDS {
        let name = format!("f{round}");
        assert_bytes(bucket.get(&name).unwrap(), &wanted, &name);
    }
}

#[test]
fn what_is_stored_in_a_mapping_is_in_the_bucket_after_close() {
    stores_arrive(
        "what_is_stored_in_a_mapping_is_in_the_bucket_after_close",
        "unmap",
    );
}

#[test]
fn what_is_stored_after_the_descriptor_was_closed_is_not_lost() {
    stores_arrive(
        "what_is_stored_after_the_descriptor_was_closed_is_not_lost",
        "close",
    );
}
