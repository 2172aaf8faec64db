/// Why a request of the driver was not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    pub reason: String,
    pub message: String,
}

impl Refusal {
    /// The child ended before it answered.
    pub(super) const ENDED: &str = "ChildEnded";

    /// There is not enough memory for another child.
    pub(super) const MEMORY: &str = dlf_wire::mounter::NO_MEMORY;

    pub(super) fn new(reason: &str, message: impl Into<String>) -> Self {
        Self {
            reason: reason.to_owned(),
            message: message.into(),
        }
    }
}
