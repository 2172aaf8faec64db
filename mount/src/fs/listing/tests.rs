use std::time::SystemTime;

use proptest::prelude::*;

use super::*;

fn version() -> Version {
    Version {
        etag: Arc::from("e"),
        size: 1,
        modified: SystemTime::UNIX_EPOCH,
    }
}

/// What a source answers for the keys below `prefix`, `size` at a time.
fn pages(keys: &[String], prefix: &str, size: usize) -> Vec<Page> {
    let mut items: Vec<(String, bool)> = keys
        .iter()
        .filter_map(|key| {
            let rest = key.strip_prefix(prefix)?;
            Some(match rest.split_once('/') {
                Some((first, _)) => (format!("{prefix}{first}/"), true),
                None => (key.clone(), false),
            })
        })
        .collect();
    items.sort();
    items.dedup();
    items
        .chunks(size)
        .map(|chunk| Page {
            objects: chunk
                .iter()
                .filter(|(_, directory)| !directory)
                .map(|(key, _)| (key.clone(), version()))
                .collect(),
            prefixes: chunk
                .iter()
                .filter(|(_, directory)| *directory)
                .map(|(key, _)| key.clone())
                .collect(),
            next: None,
        })
        .collect()
}

fn names(keys: &[&str], prefix: &str, size: usize) -> Vec<String> {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let mut merger = Merger::default();
    pages(&keys, prefix, size)
        .into_iter()
        .flat_map(|page| merger.entries(prefix, page))
        .map(|entry| {
            let slash = if entry.version.is_none() { "/" } else { "" };
            format!("{}{slash}", entry.name)
        })
        .collect()
}

#[test]
fn markers_and_impossible_names_are_left_out() {
    let keys = [
        "d/", "d/a", "d//x", "d/../x", "d/./x", "d/sub/", "d/sub/x", "e",
    ];
    assert_eq!(names(&keys, "d/", 1000), ["a", "sub/"]);
    assert_eq!(names(&keys, "", 1000), ["d/", "e"]);
}

#[test]
fn an_object_and_a_directory_of_one_name_are_one_entry() {
    let keys = ["a", "a-b", "a.txt", "a/x", "b"];
    assert_eq!(names(&keys, "", 1000), ["a-b", "a.txt", "a/", "b"]);
    // Across pages the object has been told already.
    assert_eq!(names(&keys, "", 1), ["a", "a-b", "a.txt", "b"]);
}

proptest! {
    /// Whatever the keys and the size of pages: no name twice, none missing, none impossible.
    #[test]
    fn every_presentable_name_is_listed_once(
        keys in prop::collection::btree_set("[ab./-]{1,6}", 0..40),
        size in 1..8_usize,
    ) {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut listed: Vec<String> = names(&keys, "", size)
            .into_iter()
            .map(|name| name.trim_end_matches('/').to_owned())
            .collect();
        listed.sort();
        let mut wanted: Vec<String> = keys
            .iter()
            .map(|key| key.split('/').next().unwrap_or_default().to_owned())
            .filter(|name| presentable(name))
            .collect();
        wanted.sort();
        wanted.dedup();
        prop_assert_eq!(listed, wanted);
    }
}
