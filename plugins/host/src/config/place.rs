//! Where in the file a key stands: figment says which key is wrong, and not where.

use std::{collections::HashMap, fs, path::Path};

use figment::error::{Error, Kind};

/// The line of the key that an error is about; none when the error says so itself (the file is no
/// TOML), or when the key does not stand in the file (it came from the environment).
pub(super) fn line(path: &Path, error: &Error) -> Option<usize> {
    let mut key = error.path.clone();
    if let Kind::UnknownField(name, _) = &error.kind
        && key.last() != Some(name)
    {
        key.push(name.clone());
    }
    line_of(path, &key)
}

/// The line of a key, or of as much of it as stands in the file.
pub(super) fn line_of(path: &Path, key: &[String]) -> Option<usize> {
    find(&fs::read_to_string(path).ok()?, key)
}

/// The line that says most of a key, with numbers for the elements of arrays.
fn find(text: &str, key: &[String]) -> Option<usize> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut section = Vec::new();
    let mut best = (0, None);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let said = if let Some(name) = header(line, "[[", "]]") {
            let count = counts.entry(name.to_owned()).or_default();
            section = parts(name);
            section.push(count.to_string());
            *count += 1;
            section.clone()
        } else if let Some(name) = header(line, "[", "]") {
            section = parts(name);
            section.clone()
        } else if let Some((name, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            [section.clone(), parts(name)].concat()
        } else {
            continue;
        };
        // A list that nobody knows is meant as a whole, and its first element says where it begins.
        let common = said.len().min(key.len());
        if common > best.0 && said[..common] == key[..common] {
            best = (common, Some(index + 1));
        }
    }
    best.1
}

fn header<'a>(line: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (name, _) = line.strip_prefix(open)?.split_once(close)?;
    Some(name)
}

fn parts(name: &str) -> Vec<String> {
    let parts = name.split('.');
    parts
        .map(|part| part.trim().trim_matches('"').to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# mode = 1\n[cache]\nmode = \"Off\"\n\n[[route]]\nstorage = \"a\"\n[[route]]\n\
        match = { type = \"COS\" }\nstorage = \"b\"\n[plugins.s3fs]\ncarrier = \"x\"\n";

    #[test]
    fn a_key_has_the_line_it_stands_in() {
        let line = |key: &str| find(TEXT, &parts(key));
        assert_eq!(line("cache.mode"), Some(3));
        assert_eq!(line("cache.modus"), Some(2), "its section at least");
        assert_eq!(line("route.0.storage"), Some(6));
        assert_eq!(line("route.1.match.type"), Some(8));
        assert_eq!(line("plugins.s3fs.carrier"), Some(11));
        assert_eq!(line("admission.inline_keys"), None);
        assert_eq!(line("route"), Some(5), "the first of its elements");
    }
}
