use std::{collections::HashMap, sync::Arc, time::Duration};

use dlf_core::{
    api::{ApiGroup, Dataset},
    labels::DatasetUse,
};
use futures::future::try_join_all;
use kube::{Api, Client};
use thiserror::Error;
use tokio::{sync::Semaphore, time::timeout};

use super::{Facts, Index, index::elder};
use crate::webhook::{decorate::DatasetLookup, metrics::Metrics};

/// A user waits for the answer, and the API server waits at most five seconds for the webhook.
const DEADLINE: Duration = Duration::from_secs(1);
/// Pods that name what does not exist must not become a load on the API server.
const LIVE_MAX: usize = 32;

/// Answers from memory, and from the API server what memory does not have: a Dataset and its pod
/// may come in one `kubectl apply`, before the watch has told of the Dataset.
pub struct Lookup {
    client: Client,
    groups: Vec<ApiGroup>,
    index: Arc<Index>,
    live: Semaphore,
    metrics: Metrics,
}

/// The API server did not say in time whether there is such a Dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the API server did not say within {}s whether these Datasets exist; try again", DEADLINE.as_secs())]
pub struct Unanswered;

impl Lookup {
    /// A lookup of these groups in this index.
    #[must_use]
    pub fn new(client: Client, groups: Vec<ApiGroup>, index: Arc<Index>, metrics: Metrics) -> Self {
        Self {
            client,
            groups,
            index,
            live: Semaphore::new(LIVE_MAX),
            metrics,
        }
    }

    /// What is known of the datasets that a pod uses.
    pub async fn resolve(&self, namespace: &str, uses: &[DatasetUse]) -> Result<Known, Unanswered> {
        let mut facts = HashMap::with_capacity(uses.len());
        let mut missing = Vec::new();
        for used in uses {
            match self.index.find(namespace, &used.id) {
                Some(found) => drop(facts.insert(used.id.clone(), found)),
                None => missing.push(used.id.as_str()),
            }
        }
        if !missing.is_empty() {
            let asked = try_join_all(missing.iter().map(|name| self.ask(namespace, name)));
            let answers = self.in_time(asked).await?;
            let found = missing.into_iter().zip(answers);
            facts.extend(found.filter_map(|(name, facts)| Some((name.to_owned(), facts?))));
        }
        Ok(Known {
            namespace: namespace.to_owned(),
            facts,
        })
    }

    /// Whether a group has a Dataset of this name. One that is not served has none.
    pub async fn exists_in(
        &self,
        group: ApiGroup,
        namespace: &str,
        name: &str,
    ) -> Result<bool, Unanswered> {
        if !self.groups.contains(&group) {
            return Ok(false);
        }
        if self.index.find_in(group, namespace, name).is_some() {
            return Ok(true);
        }
        let found = self.in_time(self.ask_group(group, namespace, name)).await?;
        Ok(found.is_some())
    }

    async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Unanswered> {
        self.metrics.live_lookups.inc();
        match timeout(DEADLINE, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::warn!(%error, "looking a Dataset up failed");
                Err(Unanswered)
            }
            Err(_) => Err(Unanswered),
        }
    }

    async fn ask(&self, namespace: &str, name: &str) -> Result<Option<Arc<Facts>>, kube::Error> {
        // In this order, because of two of the same second the first group has the elder.
        let groups = ApiGroup::ALL
            .into_iter()
            .filter(|group| self.groups.contains(group));
        let asked = try_join_all(groups.map(|group| self.ask_group(group, namespace, name)));
        Ok(asked.await?.into_iter().fold(None, elder))
    }

    async fn ask_group(
        &self,
        group: ApiGroup,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Facts>>, kube::Error> {
        // Never closed: without a permit the question is asked all the same.
        let _permit = self.live.acquire().await;
        let api = Api::<Dataset>::namespaced_with(self.client.clone(), namespace, &group);
        let found = api.get_opt(name).await?;
        Ok(found.map(|dataset| Arc::new(Facts::of(&dataset))))
    }
}

/// What is known of the datasets of one pod.
#[derive(Clone, Debug, Default)]
pub struct Known {
    namespace: String,
    facts: HashMap<String, Arc<Facts>>,
}

impl DatasetLookup for Known {
    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn find(&self, name: &str) -> Option<&Facts> {
        self.facts.get(name).map(Arc::as_ref)
    }
}
