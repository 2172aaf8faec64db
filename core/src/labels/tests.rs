use proptest::prelude::*;

use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn uses(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Vec<DatasetUse> {
    parse(&map(labels), &map(annotations)).unwrap()
}

fn refusal(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> String {
    let errors = parse(&map(labels), &map(annotations)).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors[0].to_string()
}

#[test]
fn an_id_without_useas_means_mount() {
    let uses = uses(&[("dataset.0.id", "books")], &[]);
    assert_eq!((uses[0].id.as_str(), uses[0].mode), ("books", Mode::Mount));
}

#[test]
fn a_mode_is_a_set_of_words() {
    for (word, mounts, configures) in [
        ("mount", true, false),
        ("configmap", false, true),
        ("mount.configmap", true, true),
        // A set: the predecessor took any order, and manifests repeat words.
        ("configmap.mount", true, true),
        ("mount.mount", true, false),
        ("configmap.mount.configmap", true, true),
    ] {
        let uses = uses(&[("dataset.0.id", "a"), ("dataset.0.useas", word)], &[]);
        assert_eq!(
            (uses[0].mode.mounts(), uses[0].mode.configures()),
            (mounts, configures),
            "{word}"
        );
    }
}

#[test]
fn n_is_any_integer_and_leading_zeros_say_nothing() {
    let found = uses(
        &[
            ("dataset.00.id", "a"),
            ("dataset.0.useas", "configmap"),
            ("dataset.10.id", "c"),
            ("dataset.9.id", "b"),
        ],
        &[],
    );
    let shown: Vec<_> = found
        .iter()
        .map(|used| (used.index, used.id.as_str(), used.mode))
        .collect();
    assert_eq!(
        shown,
        [
            (0, "a", Mode::ConfigMap),
            (9, "b", Mode::Mount),
            (10, "c", Mode::Mount)
        ]
    );
    assert_eq!(
        uses(&[("dataset.4294967295.id", "a")], &[])[0].index,
        u32::MAX
    );
}

#[test]
fn every_refusal_names_the_label_and_the_way_out() {
    for (labels, key, way_out) in [
        (
            vec![("dataset.0.useas", "mount")],
            "dataset.0.useas",
            "dataset.0.id",
        ),
        (
            vec![("dataset.0.id", "a"), ("dataset.0.useas", "copy")],
            "dataset.0.useas",
            "mount.configmap",
        ),
        (
            vec![("dataset.0.id", "a"), ("dataset.0.useas", "mount.")],
            "dataset.0.useas",
            "mount.configmap",
        ),
        (
            vec![("dataset.0.id", "a"), ("dataset.0.useas", "")],
            "dataset.0.useas",
            "mount.configmap",
        ),
        (
            vec![("dataset.0.id", "a"), ("dataset.0.use-as", "mount")],
            "dataset.0.use-as",
            "dataset.N.useas",
        ),
        (
            vec![("dataset.0.id", "a"), ("dataset.0.path", "x")],
            "dataset.0.path",
            "annotation",
        ),
        (vec![("dataset.x.id", "a")], "dataset.x.id", "integer"),
        (
            vec![("dataset..useas", "mount")],
            "dataset..useas",
            "integer",
        ),
        (
            vec![("dataset.0.id", "a"), ("dataset.1.id", "a")],
            "dataset.1.id",
            "dataset.0.id",
        ),
        (vec![("dataset.-1.id", "a")], "dataset.-1.id", "0 or more"),
        (
            vec![("dataset.4294967296.id", "a")],
            "dataset.4294967296.id",
            "4294967295",
        ),
        (
            vec![("dataset.0.id", "a"), ("dataset.00.id", "b")],
            "dataset.00.id",
            "dataset.0.id",
        ),
        (
            vec![("dataset.0.id", "")],
            "dataset.0.id",
            "name of a Dataset",
        ),
        (
            vec![("dataset.0.id", "A_b")],
            "dataset.0.id",
            "name of a Dataset",
        ),
    ] {
        let message = refusal(&labels, &[]);
        assert!(
            message.contains(key) && message.contains(way_out),
            "{labels:?}: {message}"
        );
    }
}

#[test]
fn labels_of_others_are_ignored() {
    let others = [
        ("dataset", "a"),
        ("dataset.0", "a"),
        ("dataset.team.owner", "a"),
        ("dataset.team.path", "a"),
        ("dataset.0.id.x", "a"),
        ("datasets.0.id", "a"),
        ("example.com/dataset.0.id", "a"),
        ("dataset-0-id", "a"),
    ];
    assert_eq!(uses(&others, &[("dataset.team.id", "a")]), []);
    assert!(others.iter().all(|(key, _)| !is_our_label(key)));
}

#[test]
fn annotations_say_what_labels_cannot_hold() {
    let found = uses(
        &[("dataset.1.id", "a")],
        &[
            ("dataset.1.path", "/data/in/"),
            ("dataset.01.containers", "main, prepare,main"),
            ("dataset.1.readonly", "true"),
            ("dataset.1.subpath", "train/2024/"),
        ],
    );
    assert_eq!(
        found,
        [DatasetUse {
            index: 1,
            id: "a".to_owned(),
            mode: Mode::Mount,
            path: Some("/data/in".to_owned()),
            containers: Some(vec!["main".to_owned(), "prepare".to_owned()]),
            readonly: true,
            subpath: Some("train/2024".to_owned()),
        }]
    );
}

#[test]
fn an_annotation_that_does_not_fit_is_refused() {
    for (key, value, says) in [
        ("dataset.0.path", "data", "absolute"),
        ("dataset.0.path", "", "empty"),
        ("dataset.0.path", "/", "root"),
        ("dataset.0.path", "/a/../b", ".."),
        ("dataset.0.path", "/a//b", "empty part"),
        ("dataset.0.path", "/a:b", "colon"),
        ("dataset.0.path", "/a\nb", "control"),
        ("dataset.0.subpath", "/a", "leading slash"),
        ("dataset.0.subpath", "..", ".."),
        ("dataset.0.subpath", "a/./b", "`.`"),
        ("dataset.0.containers", "main,", "commas"),
        ("dataset.0.containers", "", "commas"),
        ("dataset.0.readonly", "yes", "true"),
        ("dataset.0.id", "a", "make it a label"),
        ("dataset.0.pth", "/a", "dataset.N.path"),
        ("dataset.7.path", "/a", "dataset.7.id"),
        ("dataset.x.path", "/a", "integer"),
    ] {
        let message = refusal(&[("dataset.0.id", "a")], &[(key, value)]);
        assert!(
            message.contains(key) && message.contains(says),
            "{key}={value:?}: {message}"
        );
    }
    let long = format!("/{}", "a".repeat(4096));
    assert!(refusal(&[("dataset.0.id", "a")], &[("dataset.0.path", &long)]).contains("4096"));
}

#[test]
fn everything_wrong_is_said_at_once() {
    let labels = map(&[
        ("dataset.x.id", "a"),
        ("dataset.0.useas", "copy"),
        ("dataset.1.id", "B"),
    ]);
    assert_eq!(parse(&labels, &BTreeMap::new()).unwrap_err().len(), 3);
}

#[test]
fn a_pod_takes_a_bounded_number_of_datasets() {
    let labels = |count: usize| {
        (0..count)
            .map(|n| (format!("dataset.{n}.id"), format!("d{n}")))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(
        parse(&labels(USES_MAX), &BTreeMap::new()).unwrap().len(),
        USES_MAX
    );
    let errors = parse(&labels(USES_MAX + 1), &BTreeMap::new()).unwrap_err();
    assert_eq!(
        errors,
        [LabelError::TooMany {
            found: USES_MAX + 1
        }]
    );
}

fn keys() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,20}",
        r"dataset\.(-?[0-9]{1,12}|[a-z]{0,3})\.(id|useas|path|subpath|containers|readonly|[a-z.]{0,6})",
        r"dataset\.[0-3]\.(id|useas)",
    ]
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,20}",
        "[ab]",
        r"(mount|configmap)(\.(mount|configmap)){0,2}",
        "true|false",
        "/?[a./]{1,9}"
    ]
}

fn maps() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((keys(), values()), 0..10)
}

/// Labels that ask for exactly these uses.
fn written(uses: &[DatasetUse]) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let (mut labels, mut annotations) = (BTreeMap::new(), BTreeMap::new());
    for used in uses {
        let key = |word: &str| format!("dataset.{}.{word}", used.index);
        let word = Mode::WORDS
            .into_iter()
            .find(|word| Mode::parse(word) == Some(used.mode))
            .unwrap();
        labels.insert(key("id"), used.id.clone());
        labels.insert(key("useas"), word.to_owned());
        let said = [
            ("path", used.path.clone()),
            ("subpath", used.subpath.clone()),
            (
                "containers",
                used.containers.as_ref().map(|names| names.join(",")),
            ),
            ("readonly", Some(used.readonly.to_string())),
        ];
        annotations.extend(
            said.into_iter()
                .filter_map(|(word, value)| Some((key(word), value?))),
        );
    }
    (labels, annotations)
}

proptest! {
    #[test]
    fn never_panics_and_says_the_same_again(labels in maps(), annotations in maps()) {
        let forward = (labels.iter().cloned().collect(), annotations.iter().cloned().collect());
        let first = parse(&forward.0, &forward.1);
        prop_assert_eq!(&first, &parse(&forward.0, &forward.1));
        // What was read, written down and read again, is what was read.
        if let Ok(uses) = first {
            let (labels, annotations) = written(&uses);
            prop_assert_eq!(parse(&labels, &annotations), Ok(uses));
        }
    }

    #[test]
    fn the_order_of_writing_says_nothing(mut labels in maps(), seed in any::<prop::sample::Index>()) {
        labels.sort();
        labels.dedup_by(|a, b| a.0 == b.0);
        let sorted: BTreeMap<_, _> = labels.iter().cloned().collect();
        let turn = seed.index(labels.len().max(1)).min(labels.len());
        labels.rotate_left(turn);
        let turned: BTreeMap<_, _> = labels.into_iter().rev().collect();
        prop_assert_eq!(parse(&sorted, &BTreeMap::new()), parse(&turned, &BTreeMap::new()));
    }
}
