use std::sync::Arc;

use super::authorise::FindPod;
use super::hub::Hub;
use super::identity::Identify;
use super::strangers::Strangers;
use crate::tasks::Tasks;

/// What every stream shares.
pub(super) struct Shared {
    pub(super) hub: Arc<Hub>,
    pub(super) tasks: Arc<Tasks>,
    pub(super) identify: Arc<dyn Identify>,
    pub(super) strangers: Arc<Strangers>,
    pub(super) pods: Arc<dyn FindPod>,
}
