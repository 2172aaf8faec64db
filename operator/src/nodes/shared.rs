use std::sync::Arc;

use super::authorise::FindPod;
use super::handshakes::Handshakes;
use super::hub::Hub;
use super::identity::Identify;
use super::made::TellPod;
use crate::tasks::Tasks;

/// What every stream shares.
pub(super) struct Shared {
    pub(super) hub: Arc<Hub>,
    pub(super) tasks: Arc<Tasks>,
    pub(super) identify: Arc<dyn Identify>,
    pub(super) handshakes: Arc<Handshakes>,
    pub(super) pods: Arc<dyn FindPod>,
    pub(super) tell: Arc<dyn TellPod>,
}
