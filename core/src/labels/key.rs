/// The words that come last in a key.
pub(super) const LABEL_WORDS: [&str; 2] = ["id", "useas"];
pub(super) const ANNOTATION_WORDS: [&str; 4] = ["path", "containers", "readonly", "subpath"];

/// The middle of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Index {
    Number(u32),
    Negative,
    TooLarge,
    NotANumber,
}

impl Index {
    fn parse(text: &str) -> Self {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::NotANumber;
        }
        if digits.len() < text.len() {
            return Self::Negative;
        }
        digits.parse().map_or(Self::TooLarge, Self::Number)
    }
}

/// A key that is ours: `dataset.INDEX.WORD`. The chart's policy for pods has the same grammar as patterns
/// (`deploy/chart/templates/policies/pods.yaml`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub(super) index: Index,
    pub(super) word: &'a str,
}

impl<'a> Key<'a> {
    /// The parts of a label's key, unless it is somebody else's.
    pub(super) fn of_label(key: &'a str) -> Option<Self> {
        Self::parse(key, &LABEL_WORDS)
    }

    /// The parts of an annotation's key, unless it is somebody else's.
    pub(super) fn of_annotation(key: &'a str) -> Option<Self> {
        Self::parse(key, &ANNOTATION_WORDS)
    }

    fn parse(key: &'a str, words: &[&str]) -> Option<Self> {
        let (index, word) = key.strip_prefix("dataset.")?.split_once('.')?;
        let index = Index::parse(index);
        let ours = !word.contains('.') && (index != Index::NotANumber || words.contains(&word));
        ours.then_some(Self { index, word })
    }
}
