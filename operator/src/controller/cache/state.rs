use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dlf_core::{
    api::{CacheStatus, Phase, PhaseStatus},
    condition::{ConditionType, Finding, Truth},
    decision::Reason,
    plugin::{CacheOrigin, Observed},
};
use k8s_openapi::jiff::Timestamp;

use crate::{controller::error::Problem, nodes::registry::NotServing};

/// What stands in front of a dataset's source, as its cache's reconcile found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheState {
    /// Where reads go before they go to the source.
    pub origins: Vec<CacheOrigin>,
    /// The plugin that writes the effective source itself.
    pub external: Option<String>,
    /// In the original's words.
    pub phase: PhaseStatus,
    /// For the status.
    pub status: Option<Box<CacheStatus>>,
    /// Condition `CacheReady`; none: there is nothing to say of a cache.
    pub finding: Option<Finding>,
}

impl CacheState {
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
            origins: Vec::new(),
            external: None,
            phase: PhaseStatus {
                status: Phase::Disabled,
                info: info.to_owned(),
            },
            status: None,
            finding,
        }
    }

    /// Where reads go first; none: to the source.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.origins.first().map(|origin| origin.endpoint.as_str())
    }

    /// Whether it serves, as its plugin says.
    pub(in crate::controller) fn serves(&self) -> bool {
        let truth = self.finding.as_ref().map(|finding| finding.truth);
        !self.origins.is_empty() && truth == Some(Truth::True)
    }

    /// The same of one that does not serve, with what keeps its pods from starting.
    pub(super) fn not_starting(mut self, trouble: &str) -> Self {
        let planned = self.finding.map(|finding| finding.message);
        let message = format!("{}; {trouble}", planned.unwrap_or_default());
        self.phase.info.clone_from(&message);
        self.finding = Some(Finding::new(
            ConditionType::CacheReady,
            false,
            "NotStarting",
            message,
        ));
        self
    }

    /// The state of one that serves, as its plugin says, and past which reads go all the same; none of another.
    pub(in crate::controller) fn passed_by(&self, fault: NotServing) -> Option<Self> {
        let endpoint = self.endpoint().filter(|_| self.serves())?;
        let since = i64::try_from(fault.since_ms).ok();
        let since = since.and_then(|ms| Timestamp::from_second(ms / 1000).ok())?;
        let message = format!(
            "mounts ask the cache at {endpoint} and no byte comes through it since {since}, so they read from the source: \
             see whether its Service has that port, and whether its pods answer there"
        );
        Some(Self {
            phase: PhaseStatus {
                status: Phase::Pending,
                info: message.clone(),
            },
            finding: Some(Finding::new(
                ConditionType::CacheReady,
                false,
                "NotServing",
                message,
            )),
            ..self.clone()
        })
    }

    /// Nothing stands there yet.
    pub(super) fn waiting(problem: Problem) -> Self {
        let Problem {
            phase,
            reason,
            message,
            ..
        } = problem;
        Self {
            origins: Vec::new(),
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
pub struct CacheStates {
    states: Arc<Mutex<HashMap<String, Arc<CacheState>>>>,
    /// What was known of the work for a cache when its plugin was asked last. It changes all the time, so
    /// that it is no news for the Dataset.
    work: Arc<Mutex<HashMap<String, Observed>>>,
}

impl CacheStates {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<CacheState>>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was last found; none since this operator leads.
    #[must_use]
    pub fn get(&self, uid: &str) -> Option<Arc<CacheState>> {
        self.lock().get(uid).cloned()
    }

    /// Notes what was found; true when it is news.
    pub(super) fn set(&self, uid: &str, state: CacheState) -> bool {
        let state = Arc::new(state);
        let before = self.lock().insert(uid.to_owned(), Arc::clone(&state));
        before.is_none_or(|before| before != state)
    }

    /// What was known of the work for it when its plugin was asked last.
    pub(super) fn work(&self, uid: &str) -> Observed {
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.get(uid).cloned().unwrap_or_default()
    }

    /// Notes what is known of the work for it.
    pub(super) fn set_work(&self, uid: &str, known: Observed) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        if known == Observed::default() {
            work.remove(uid);
        } else {
            work.insert(uid.to_owned(), known);
        }
    }

    /// There is no cache, and none is wanted; true when that is news.
    pub(super) fn forget(&self, uid: &str) -> bool {
        self.set_work(uid, Observed::default());
        self.lock().remove(uid).is_some()
    }
}
