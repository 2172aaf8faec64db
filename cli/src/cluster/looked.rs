use super::RequestError;

/// What became of a look at something that an answer can do without.
#[derive(Clone, Debug)]
pub(crate) enum Looked<T> {
    /// It was had.
    Seen(T),
    /// The user may not look.
    Forbidden,
    /// It could not be had, and why.
    Failed(String),
}

impl<T> Looked<T> {
    /// What was seen, if it was.
    pub(crate) const fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen(seen) => Some(seen),
            Self::Forbidden | Self::Failed(_) => None,
        }
    }

    /// Why nothing was seen, for a person.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Seen(_) => "seen",
            Self::Forbidden => "not allowed to look",
            Self::Failed(reason) => reason,
        }
    }
}

impl<T> From<Result<T, RequestError>> for Looked<T> {
    fn from(result: Result<T, RequestError>) -> Self {
        match result {
            Ok(seen) => Self::Seen(seen),
            Err(error) if error.is_forbidden() => Self::Forbidden,
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}
