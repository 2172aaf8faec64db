//! Labels and annotations that nobody meant.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

type Map = BTreeMap<String, String>;

/// Keys of ours, keys one character away from ours, and keys of anybody.
fn keys() -> impl Strategy<Value = String> {
    let ours =
        || r"dataset\.(0|1|2|00|-1|x|[0-9]{1,12})\.(id|useas|path|subpath|containers|readonly)";
    let spoiled = (
        ours(),
        any::<proptest::sample::Index>(),
        any::<char>(),
        0..3_u8,
    );
    let spoiled = spoiled.prop_map(|(key, at, character, how)| {
        let mut characters: Vec<char> = key.chars().collect();
        let at = at.index(characters.len());
        match how {
            0 => characters[at] = character,
            1 => characters.insert(at, character),
            _ => drop(characters.remove(at)),
        }
        characters.into_iter().collect()
    });
    prop_oneof![3 => ours(), 2 => spoiled, 1 => any::<String>(), 1 => r"dataset\.[a-z0-9.-]{0,12}"]
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[ab]|mount|configmap|mount\\.configmap|true|false|/[a-z]{1,3}",
        1 => any::<String>(),
        1 => "/?[a./\\x00-\\x20:,-]{0,9}",
        1 => "[a-z/.]".prop_map(|character| character.repeat(100_000)),
    ]
}

fn maps() -> impl Strategy<Value = Map> {
    proptest::collection::btree_map(keys(), values(), 0..8)
}

/// The key that an error is about, and the other one that it compares it with.
fn named(error: &LabelError) -> (Option<&str>, Option<&str>) {
    match error {
        LabelError::SaidTwice { key, other, .. } | LabelError::SameDataset { key, other, .. } => {
            (Some(key), Some(other))
        }
        LabelError::NotANumber { key }
        | LabelError::Negative { key }
        | LabelError::TooLarge { key }
        | LabelError::UnknownLabel { key, .. }
        | LabelError::UnknownAnnotation { key, .. }
        | LabelError::NoId { key, .. }
        | LabelError::InvalidId { key, .. }
        | LabelError::UnknownMode { key, .. }
        | LabelError::Path { key, .. }
        | LabelError::Containers { key, .. }
        | LabelError::Readonly { key, .. } => (Some(key), None),
        LabelError::TooMany { .. } => (None, None),
    }
}

proptest! {
    #[test]
    fn every_refusal_names_a_key_that_is_there(labels in maps(), annotations in maps()) {
        let Err(errors) = parse(&labels, &annotations) else { return Ok(()) };
        prop_assert!(!errors.is_empty());
        for error in errors {
            let text = error.to_string();
            let (key, other) = named(&error);
            prop_assert!(key.is_some(), "{text}");
            for key in key.into_iter().chain(other) {
                let ours = (labels.contains_key(key) && is_our_label(key))
                    || (annotations.contains_key(key) && is_our_annotation(key));
                prop_assert!(ours, "{key:?} is not there: {text}");
                prop_assert!(text.contains(key), "{text}");
            }
        }
    }

    #[test]
    fn what_is_taken_is_well_formed_and_is_all_there_was(labels in maps(), annotations in maps()) {
        let Ok(uses) = parse(&labels, &annotations) else { return Ok(()) };
        let ids = labels.keys().filter(|key| is_our_label(key) && key.rsplit('.').next() == Some("id"));
        prop_assert_eq!(uses.len(), ids.count());
        let different: BTreeSet<&str> = uses.iter().map(|used| used.id.as_str()).collect();
        prop_assert_eq!(different.len(), uses.len());
        for used in &uses {
            prop_assert!(is_dns_label(&used.id));
            for name in used.containers.iter().flatten() {
                prop_assert!(is_dns_label(name));
            }
            if let Some(path) = &used.path {
                prop_assert_eq!(check_mount_path(path), Ok(path.as_str()));
            }
            if let Some(path) = &used.subpath {
                prop_assert_eq!(check_subpath(path), Ok(path.as_str()));
                prop_assert!(!path.starts_with('/') && path.split('/').all(|part| part != ".."));
            }
        }
    }

    #[test]
    fn what_is_somebody_elses_changes_nothing(
        labels in maps(),
        annotations in maps(),
        theirs in maps(),
    ) {
        let with = |ours: &Map, is_ours: fn(&str) -> bool| -> Map {
            let theirs = theirs.iter().filter(|(key, _)| !is_ours(key));
            let all = theirs.chain(ours);
            all.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let more = (with(&labels, is_our_label), with(&annotations, is_our_annotation));
        prop_assert_eq!(parse(&labels, &annotations), parse(&more.0, &more.1));
    }

    #[test]
    fn paths_that_pass_lead_nowhere_else(text in values()) {
        if let Ok(path) = check_mount_path(&text) {
            prop_assert!(path.starts_with('/') && path.len() > 1 && !path.ends_with('/'));
            prop_assert!(path[1..].split('/').all(|part| !matches!(part, "" | "." | "..")));
        }
        if let Ok(path) = check_subpath(&text) {
            prop_assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")));
        }
    }
}
