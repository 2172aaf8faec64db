use std::time::Duration;

/// Why the API server's answer cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// There is no such object, or no such kind.
    #[error("the API server has no such thing")]
    NotFound,
    /// The user may not.
    #[error("{0}")]
    Forbidden(String),
    /// The API server does not know who this is.
    #[error(
        "the API server does not accept the kubeconfig's credentials: {0}; log in again, or choose another --context"
    )]
    Unauthorized(String),
    /// It refused for another reason.
    #[error("the API server answered {code}: {message}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// Its reason.
        message: String,
    },
    /// It does not answer.
    #[error(
        "the API server did not answer within {} s; is the cluster up, and is this the right --context?",
        .0.as_secs()
    )]
    Late(Duration),
    /// It cannot be reached.
    #[error(
        "the API server cannot be reached: {0}; is the cluster up, and is this the right --context?"
    )]
    Unreachable(String),
    /// What it answered, or was asked, is not what it should be.
    #[error("{0}")]
    Garbled(String),
}

impl RequestError {
    /// Whether the user may not look: no failure of what would be looked at.
    pub(crate) const fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden(_))
    }

    /// Whether the same question may be answered in a moment.
    pub(crate) const fn passes(&self) -> bool {
        matches!(
            self,
            Self::Late(_)
                | Self::Unreachable(_)
                | Self::Refused {
                    code: 429 | 500..,
                    ..
                }
        )
    }
}

impl From<kube::Error> for RequestError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Self::NotFound,
                403 => Self::Forbidden(status.message),
                401 => Self::Unauthorized(status.message),
                code => Self::Refused {
                    code,
                    message: status.message,
                },
            },
            kube::Error::SerdeError(error) => {
                Self::Garbled(format!("the API server's answer is not JSON: {error}"))
            }
            other => Self::Unreachable(innermost(&other)),
        }
    }
}

impl From<kube::core::request::Error> for RequestError {
    fn from(error: kube::core::request::Error) -> Self {
        Self::Garbled(error.to_string())
    }
}

impl From<http::Error> for RequestError {
    fn from(error: http::Error) -> Self {
        Self::Garbled(error.to_string())
    }
}

/// The cause of a chain of errors, whose outer ones only say that something failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
