//! Pods that use datasets, for a person to read.

use std::{collections::BTreeMap, fmt};

use dlf_core::names::LABEL_USES_DATASETS;
use kube::{
    Client, ResourceExt,
    api::{Api, ListParams},
};

use super::{Doing, UninstallError};
use crate::pods::SlimPod;

/// More names than this make a message nobody reads.
const NAMED_MAX: usize = 20;
/// Pods in one answer of the API server.
const PAGE: u32 = 500;

/// Pods that neither finished nor are on their way out, and the datasets they use.
#[derive(Debug, Default)]
pub(super) struct Users(BTreeMap<String, String>);

impl Users {
    pub(super) async fn find(client: &Client) -> Result<Self, UninstallError> {
        let api: Api<SlimPod> = Api::all(client.clone());
        let mut params = ListParams::default()
            .labels(&format!("{LABEL_USES_DATASETS}=true"))
            .limit(PAGE);
        let mut users = Self::default();
        loop {
            let page = api
                .list(&params)
                .await
                .doing("looking for pods that use datasets")?;
            page.items.iter().for_each(|pod| users.note(pod));
            match page.metadata.continue_ {
                Some(next) if !next.is_empty() => params.continue_token = Some(next),
                _ => return Ok(users),
            }
        }
    }

    fn note(&mut self, pod: &SlimPod) {
        if !pod.is_using() {
            return;
        }
        let datasets: Vec<String> = pod.datasets().into_keys().collect();
        let name = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
        self.0.insert(name, datasets.join(", "));
    }
}

impl fmt::Display for Users {
    /// Empty without any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (pod, datasets)) in self.0.iter().take(NAMED_MAX).enumerate() {
            let before = if number == 0 { "" } else { "; " };
            write!(f, "{before}pod {pod} uses {datasets}")?;
        }
        match self.0.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, "; and {more} more pods use datasets"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn users(count: usize, phase: &str) -> String {
        let mut users = Users::default();
        for number in 0..count {
            let pod = json!({
                "metadata": { "namespace": "lab", "name": format!("p{number:02}"), "labels": { "dataset.0.id": "books" } },
                "status": { "phase": phase },
            });
            users.note(&serde_json::from_value(pod).unwrap());
        }
        users.to_string()
    }

    #[test]
    fn pods_are_named_with_their_datasets() {
        assert_eq!(
            users(2, "Running"),
            "pod lab/p00 uses books; pod lab/p01 uses books"
        );
    }

    #[test]
    fn a_finished_pod_uses_nothing() {
        assert_eq!(users(3, "Succeeded"), "");
    }

    #[test]
    fn a_thousand_pods_are_still_one_message() {
        let said = users(100, "Pending");
        assert!(said.ends_with("; and 80 more pods use datasets"), "{said}");
    }
}
