use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dlf_core::condition::ConditionType;
use dlf_core::{
    api::{CacheStatus, Phase, PhaseStatus},
    condition::Finding,
    decision::Reason,
};

use crate::controller::error::Problem;

/// What stands in front of a dataset's source, as its cache's reconcile found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Front {
    /// Where reads go first; none: to the source.
    pub endpoint: Option<String>,
    /// The plugin that writes the effective source itself.
    pub external: Option<String>,
    /// In the original's words.
    pub phase: PhaseStatus,
    /// For the status.
    pub status: Option<Box<CacheStatus>>,
    /// Condition `CacheReady`; none: there is nothing to say of a cache.
    pub finding: Option<Finding>,
}

impl Front {
    /// Nothing stands there.
    pub(in crate::controller) fn none(reason: Reason) -> Self {
        let info = match reason {
            Reason::NotAsked => "",
            Reason::Off => "switched off by the Dataset",
            Reason::Advised => "mode Advise deploys nothing",
            Reason::NotApplicable => "sources of this type are not cached",
        };
        let finding = (reason == Reason::NotApplicable).then(|| {
            Finding::new(
                ConditionType::CacheReady,
                false,
                "CacheNotApplicable",
                "sources of this type are not cached; leave out spec.cache and the label cache.plugin",
            )
        });
        Self {
            endpoint: None,
            external: None,
            phase: PhaseStatus {
                status: Phase::Disabled,
                info: info.to_owned(),
            },
            status: None,
            finding,
        }
    }

    /// Nothing stands there yet.
    pub(super) fn waiting(problem: Problem) -> Self {
        let Problem {
            phase,
            reason,
            message,
        } = problem;
        Self {
            endpoint: None,
            external: None,
            phase: PhaseStatus {
                status: phase,
                info: message.clone(),
            },
            status: None,
            finding: Some(Finding::new(
                ConditionType::CacheReady,
                false,
                &reason,
                message,
            )),
        }
    }
}

/// What stands in front of the datasets that have or want a cache, by uid.
#[derive(Clone, Debug, Default)]
pub struct Book {
    fronts: Arc<Mutex<HashMap<String, Arc<Front>>>>,
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Front>>> {
        self.fronts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was last found; none since this operator leads.
    #[must_use]
    pub fn get(&self, uid: &str) -> Option<Arc<Front>> {
        self.lock().get(uid).cloned()
    }

    /// Notes what was found; true when it is news.
    pub(super) fn set(&self, uid: &str, front: Front) -> bool {
        let front = Arc::new(front);
        let before = self.lock().insert(uid.to_owned(), Arc::clone(&front));
        before.is_none_or(|before| before != front)
    }

    /// There is no cache, and none is wanted; true when that is news.
    pub(super) fn forget(&self, uid: &str) -> bool {
        self.lock().remove(uid).is_some()
    }
}
