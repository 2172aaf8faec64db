//! Configuration files that nobody meant: anything, and a right one with a mistake in it.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{
    tests::{WHOLE, load},
    *,
};

/// Keys of [`WHOLE`] that have a value of their own type.
const KEYS: [&str; 15] = [
    "carrier",
    "url",
    "path",
    "sha256",
    "service_account",
    "storage",
    "caching",
    "mode",
    "allow",
    "deny",
    "prefix",
    "namespaces",
    "server",
    "inline_keys",
    "internal_writers",
];

/// TOML of any shape, some of it with words that mean something.
fn toml() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "\"[a-zA-Z0-9/*.:-]{0,12}\"",
        "-?[0-9]{1,25}|true|false|[0-9]\\.[0-9]e[0-9]{1,3}|inf|nan",
        "2026-01-0[1-9]",
        "\\[(\"[a-z/0-9.]{0,9}\",? ?){0,3}\\]",
        "\\{( ?[a-z]{1,9} = [0-9])?\\}",
        any::<String>(),
    ];
    let key = prop_oneof![
        "carrier|config|match|storage|mode|allow|deny|prefix|namespaces|server|inline_keys|type",
        "[a-z_.]{1,9}",
        any::<String>(),
    ];
    let line = prop_oneof![
        1 => "\\[(plugins\\.[a-z]{0,3}|cache|network|admission|[a-z.]{0,9})\\]",
        1 => "\\[\\[(route|host_path|nfs_server|[a-z]{0,9})\\]\\]",
        4 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
    ];
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

/// Whether an error leads a person to the place: by its line, or by a key as it is written.
fn leads(error: &str) -> bool {
    let sections = [
        "plugins",
        "route",
        "cache",
        "network",
        "host_path",
        "nfs_server",
        "admission",
    ];
    error.contains("line ") || sections.iter().any(|section| error.contains(section))
}

proptest! {
    #[test]
    fn any_bytes_are_a_configuration_or_an_error(content in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = load(&content) {
            prop_assert!(!error.is_empty());
        }
    }

    #[test]
    fn any_toml_is_a_configuration_or_an_error_with_line_or_key(text in toml()) {
        if let Err(error) = load(&text) {
            prop_assert!(leads(&error) || text.split(['=', '\n', '[', ']', '.', ' ', '"']).any(|word| word.len() > 1 && error.contains(word)), "{error}");
        }
    }

    #[test]
    fn a_spoiled_character_is_taken_or_found(at in any::<Index>(), new in any::<char>(), how in 0..3_u8) {
        let mut characters: Vec<char> = WHOLE.chars().collect();
        let at = at.index(characters.len());
        match how {
            0 => characters[at] = new,
            1 => characters.insert(at, new),
            _ => drop(characters.remove(at)),
        }
        let text: String = characters.into_iter().collect();
        if let Err(error) = load(&text) {
            prop_assert!(error.contains("line "), "{error}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_found_by_line_and_key(
        key in select(KEYS.to_vec()),
        value in "3|-1|1\\.5|\\{ a = 1 \\}|\\[\\[\\]\\]|2026-01-01|\"é\"",
        which in any::<Index>(),
    ) {
        let lines: Vec<&str> = WHOLE.lines().collect();
        let begins = format!("{key} = ");
        let places: Vec<usize> = (0..lines.len()).filter(|line| lines[*line].starts_with(&begins)).collect();
        let place = places[which.index(places.len())];
        let spoiled = format!("{key} = {value}");
        let mut text = lines.clone();
        text[place] = &spoiled;
        if let Err(error) = load(text.join("\n")) {
            prop_assert!(error.contains(&format!("line {}:", place + 1)), "{spoiled}: {error}");
            prop_assert!(error.contains(key), "{spoiled}: {error}");
        }
    }

    #[test]
    fn a_key_that_nobody_reads_is_found_by_its_line(after in any::<Index>(), key in "zz[a-z_]{0,9}") {
        let mut lines: Vec<&str> = WHOLE.lines().collect();
        // Behind a section's head and before the next one; a plugin's own section takes any key.
        let place = after.index(lines.len()).max(3) + 1;
        let line = format!("{key} = 1");
        lines.insert(place, &line);
        let error = load(lines.join("\n")).unwrap_err();
        prop_assert!(error.contains(&key) && error.contains(&format!("line {}:", place + 1)), "{error}");
    }

    #[test]
    fn what_is_nested_without_end_is_refused(depth in 0..20_000_usize, open in "\\[|\\{a=") {
        let text = format!("[plugins.s3fs]\ncarrier = \"builtin\"\nconfig = {}", open.repeat(depth));
        prop_assert!(load(&text).is_err());
    }

    #[test]
    fn a_glob_is_found_wherever_its_parts_are(parts in proptest::collection::vec("[ab]{0,2}", 1..5), between in proptest::collection::vec("[abc]{0,3}", 5)) {
        let pattern = parts.join("*");
        let mut text = String::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                text += &between[index];
            }
            text += part;
        }
        prop_assert!(matches_glob(&pattern, &text), "{pattern} {text}");
    }

    #[test]
    fn a_glob_of_many_stars_costs_nothing(stars in 1..5_000_usize, length in 0..5_000_usize) {
        let pattern = "*a".repeat(stars) + "b";
        prop_assert!(!matches_glob(&pattern, &"a".repeat(length)));
    }
}
