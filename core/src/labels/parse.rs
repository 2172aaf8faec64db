use std::collections::BTreeMap;

use super::{
    DatasetUse, LabelError, Mode, PathProblem, USES_MAX, check_mount_path, check_subpath,
    key::{ANNOTATION_WORDS, Index, Key, LABEL_WORDS},
};

type Map = BTreeMap<String, String>;
/// Key as written and value, by number and word.
type Found<'a> = BTreeMap<(u32, &'a str), (&'a str, &'a str)>;

pub(super) fn parse(labels: &Map, annotations: &Map) -> Result<Vec<DatasetUse>, Vec<LabelError>> {
    let mut errors = Vec::new();
    let labels = collect(labels, Key::of_label, check_label, &mut errors);
    let annotations = collect(
        annotations,
        Key::of_annotation,
        check_annotation,
        &mut errors,
    );
    find_orphans(&labels, &annotations, &mut errors);
    let uses: Vec<_> = labels
        .iter()
        .filter(|((_, word), _)| *word == "id")
        .filter_map(|((index, _), id)| {
            Reader {
                labels: &labels,
                annotations: &annotations,
                index: *index,
                errors: &mut errors,
            }
            .read(*id)
        })
        .collect();
    find_repeated(&labels, &mut errors);
    if uses.len() > USES_MAX {
        errors.push(LabelError::TooMany { found: uses.len() });
    }
    if errors.is_empty() {
        Ok(uses)
    } else {
        Err(errors)
    }
}

/// Keys of ours with a number and a word that fit; what does not fit goes to the errors.
fn collect<'a>(
    map: &'a Map,
    key_of: fn(&'a str) -> Option<Key<'a>>,
    check: fn(&str, &str) -> Result<(), LabelError>,
    errors: &mut Vec<LabelError>,
) -> Found<'a> {
    let mut found = Found::new();
    for (text, value) in map {
        let Some(key) = key_of(text) else { continue };
        let number =
            number(text, key.index).and_then(|number| check(text, key.word).map(|()| number));
        match number {
            Err(error) => errors.push(error),
            Ok(index) => match found.get(&(index, key.word)) {
                Some((other, _)) => errors.push(LabelError::SaidTwice {
                    key: text.clone(),
                    other: (*other).to_owned(),
                    index,
                }),
                None => {
                    found.insert((index, key.word), (text, value));
                }
            },
        }
    }
    found
}

fn number(key: &str, index: Index) -> Result<u32, LabelError> {
    let key = || key.to_owned();
    match index {
        Index::Number(number) => Ok(number),
        Index::Negative => Err(LabelError::Negative { key: key() }),
        Index::TooLarge => Err(LabelError::TooLarge { key: key() }),
        Index::NotANumber => Err(LabelError::NotANumber { key: key() }),
    }
}

fn check_label(key: &str, word: &str) -> Result<(), LabelError> {
    if LABEL_WORDS.contains(&word) {
        return Ok(());
    }
    let hint = if ANNOTATION_WORDS.contains(&word) {
        "; make it an annotation"
    } else {
        ""
    };
    Err(LabelError::UnknownLabel {
        key: key.to_owned(),
        hint,
    })
}

fn check_annotation(key: &str, word: &str) -> Result<(), LabelError> {
    if ANNOTATION_WORDS.contains(&word) {
        return Ok(());
    }
    let hint = if LABEL_WORDS.contains(&word) {
        "; make it a label"
    } else {
        ""
    };
    Err(LabelError::UnknownAnnotation {
        key: key.to_owned(),
        hint,
    })
}

fn find_orphans(labels: &Found<'_>, annotations: &Found<'_>, errors: &mut Vec<LabelError>) {
    for ((index, _), (key, _)) in labels.iter().chain(annotations) {
        if !labels.contains_key(&(*index, "id")) {
            errors.push(LabelError::NoId {
                key: (*key).to_owned(),
                index: *index,
            });
        }
    }
}

fn find_repeated(labels: &Found<'_>, errors: &mut Vec<LabelError>) {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    for (_, (key, id)) in labels.iter().filter(|((_, word), _)| *word == "id") {
        if let Some(other) = first.get(id) {
            errors.push(LabelError::SameDataset {
                key: (*key).to_owned(),
                other: (*other).to_owned(),
                id: (*id).to_owned(),
            });
        } else {
            first.insert(*id, *key);
        }
    }
}

/// Reads one number's values.
struct Reader<'a> {
    labels: &'a Found<'a>,
    annotations: &'a Found<'a>,
    index: u32,
    errors: &'a mut Vec<LabelError>,
}

impl Reader<'_> {
    fn read(mut self, (key, id): (&str, &str)) -> Option<DatasetUse> {
        let before = self.errors.len();
        if !is_dns_label(id) {
            self.errors.push(LabelError::InvalidId {
                key: key.to_owned(),
                found: id.to_owned(),
            });
        }
        let read = DatasetUse {
            index: self.index,
            id: id.to_owned(),
            mode: self.mode(),
            path: self.path("path", check_mount_path),
            containers: self.containers(),
            readonly: self.readonly(),
            subpath: self.path("subpath", check_subpath),
        };
        (self.errors.len() == before).then_some(read)
    }

    fn mode(&mut self) -> Mode {
        let Some((key, word)) = self.labels.get(&(self.index, "useas")) else {
            return Mode::Mount;
        };
        Mode::parse(word).unwrap_or_else(|| {
            self.errors.push(LabelError::UnknownMode {
                key: (*key).to_owned(),
                found: (*word).to_owned(),
            });
            Mode::Mount
        })
    }

    fn path(&mut self, word: &str, check: fn(&str) -> Result<&str, PathProblem>) -> Option<String> {
        let (key, path) = self.annotations.get(&(self.index, word))?;
        match check(path) {
            Ok(path) => Some(path.to_owned()),
            Err(problem) => {
                self.errors.push(LabelError::Path {
                    key: (*key).to_owned(),
                    found: (*path).to_owned(),
                    problem,
                });
                None
            }
        }
    }

    fn containers(&mut self) -> Option<Vec<String>> {
        let (key, list) = self.annotations.get(&(self.index, "containers"))?;
        let mut names: Vec<_> = list.split(',').map(|name| name.trim().to_owned()).collect();
        if !names.iter().all(|name| is_dns_label(name)) {
            self.errors.push(LabelError::Containers {
                key: (*key).to_owned(),
                found: (*list).to_owned(),
            });
        }
        names.sort_unstable();
        names.dedup();
        Some(names)
    }

    fn readonly(&mut self) -> bool {
        match self.annotations.get(&(self.index, "readonly")) {
            None | Some((_, "false")) => false,
            Some((_, "true")) => true,
            Some((key, other)) => {
                self.errors.push(LabelError::Readonly {
                    key: (*key).to_owned(),
                    found: (*other).to_owned(),
                });
                false
            }
        }
    }
}

/// RFC 1123: what names a container or a volume, and so what a Dataset's name has to be.
#[must_use]
pub fn is_dns_label(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}
