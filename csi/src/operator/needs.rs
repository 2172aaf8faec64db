//! Questions that wait for the operator's answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dlf_wire::nodes::v1::{Failure, Grant, Need, PodRef};
use tokio::sync::oneshot;

/// Questions under way: the kubelet asks for each volume of each pod once at a time, and a node
/// has a few hundred pods.
const NEEDS_MAX: usize = 4096;

/// Why a pod does not get a volume now.
#[derive(Debug, thiserror::Error)]
pub enum NeedError {
    /// The operator says no, and why.
    #[error("{} ({})", .0.message, .0.reason)]
    Refused(Failure),
    /// Nobody answered in time.
    #[error(
        "the DLF operator did not answer{}; the mount is tried again, see the Deployment \
         dlf-operator", because(.0)
    )]
    NoAnswer(String),
    /// The operator granted something that cannot be used.
    #[error("the operator's answer is incomplete: driver and operator have different versions")]
    Incomplete,
    /// Too many at once.
    #[error("{NEEDS_MAX} mounts already wait for the operator; the mount is tried again")]
    TooMany,
}

fn because(trouble: &str) -> String {
    if trouble.is_empty() {
        " in time".into()
    } else {
        format!(": {trouble}")
    }
}

type Outcome = Result<Grant, NeedError>;

/// The table of open questions.
#[derive(Debug, Default)]
pub(super) struct Needs {
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, (Need, oneshot::Sender<Outcome>)>>,
}

/// The answer, when it comes. Dropping it withdraws the question.
pub(super) struct Answer<'a> {
    needs: &'a Needs,
    request: u64,
    receiver: oneshot::Receiver<Outcome>,
}

impl Needs {
    pub(super) fn ask(
        &self,
        volume_handle: &str,
        pod: PodRef,
    ) -> Result<(Need, impl Future<Output = Outcome>), NeedError> {
        let request = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let need = Need {
            request,
            volume_handle: volume_handle.to_owned(),
            pod: Some(pod),
        };
        let (sender, receiver) = oneshot::channel();
        let mut open = self.open();
        if open.len() >= NEEDS_MAX {
            return Err(NeedError::TooMany);
        }
        open.insert(request, (need.clone(), sender));
        let answer = Answer {
            needs: self,
            request,
            receiver,
        };
        Ok((need, answer.wait()))
    }

    pub(super) fn grant(&self, grant: Grant) {
        let request = grant.request;
        let outcome = match &grant.dataset {
            Some(dataset) if dataset.volume.is_some() => Ok(grant),
            _ => Err(NeedError::Incomplete),
        };
        self.answer(request, outcome);
    }

    pub(super) fn refuse(&self, request: u64, failure: Failure) {
        self.answer(request, Err(NeedError::Refused(failure)));
    }

    /// To ask again on a new stream, oldest first.
    pub(super) fn unanswered(&self) -> Vec<Need> {
        self.open().values().map(|(need, _)| need.clone()).collect()
    }

    fn answer(&self, request: u64, outcome: Outcome) {
        // Asked on two streams it may be answered twice; the second answer finds nobody.
        if let Some((_, sender)) = self.open().remove(&request) {
            let _ = sender.send(outcome);
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, (Need, oneshot::Sender<Outcome>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer<'_> {
    async fn wait(mut self) -> Outcome {
        (&mut self.receiver)
            .await
            .unwrap_or(Err(NeedError::Incomplete))
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        self.needs.open().remove(&self.request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlf_wire::dataset::v1::dataset_config::Volume;
    use dlf_wire::dataset::v1::{DatasetConfig, NfsVolume};

    fn grant(request: u64) -> Grant {
        Grant {
            request,
            dataset: Some(DatasetConfig {
                volume: Some(Volume::Nfs(NfsVolume::default())),
                ..DatasetConfig::default()
            }),
            ..Grant::default()
        }
    }

    #[tokio::test]
    async fn each_question_gets_its_own_answer() {
        let needs = Needs::default();
        let (first, first_answer) = needs.ask("a", PodRef::default()).unwrap();
        let (second, second_answer) = needs.ask("b", PodRef::default()).unwrap();
        let failure = Failure::new("NotReady", "dataset n/b is not ready");
        needs.refuse(second.request, failure);
        needs.grant(grant(first.request));
        assert_eq!(first_answer.await.unwrap().request, first.request);
        let refusal = second_answer.await.unwrap_err().to_string();
        assert_eq!(refusal, "dataset n/b is not ready (NotReady)");
        assert!(needs.unanswered().is_empty());
    }

    #[test]
    fn a_withdrawn_question_is_not_asked_again() {
        let needs = Needs::default();
        let (_, answer) = needs.ask("a", PodRef::default()).unwrap();
        assert_eq!(needs.unanswered().len(), 1);
        drop(answer);
        assert!(needs.unanswered().is_empty());
    }

    #[tokio::test]
    async fn a_grant_without_a_volume_is_refused() {
        let needs = Needs::default();
        let (need, answer) = needs.ask("a", PodRef::default()).unwrap();
        needs.grant(Grant {
            request: need.request,
            ..Grant::default()
        });
        assert!(matches!(answer.await, Err(NeedError::Incomplete)));
    }
}
