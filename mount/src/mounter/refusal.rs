/// Why a request of the driver was not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    pub reason: String,
    pub message: String,
}

impl Refusal {
    /// The child ended before it answered.
    pub(super) const ENDED: &str = "ChildEnded";

    pub(super) fn new(reason: &str, message: impl Into<String>) -> Self {
        Self {
            reason: reason.to_owned(),
            message: message.into(),
        }
    }
}
