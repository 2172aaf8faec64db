use std::collections::BTreeMap;

use super::{
    DatasetUse, LabelError, USES_MAX,
    key::{ANNOTATION_WORDS, Index, Key, LABEL_WORDS},
    reader::{Found, Reader},
};

type Map = BTreeMap<String, String>;

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
