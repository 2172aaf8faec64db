//! What each step does.

use kube::core::params::ListParams;
use serde_json::{Value, json};

use super::{
    Fixture, cache, file,
    order::Step,
    pods::{self, Reading},
    suite::{CAPACITY, Suite},
    wait::Fault,
};
use crate::{cluster::Kind, text};

/// Capacity of the cache after the edit.
const EDITED: &str = "200Mi";
/// Rounds of the reader after something happened, so that it met it.
const FURTHER: u64 = 5;

impl Suite<'_> {
    pub(super) async fn run(&self, step: Step) -> Result<String, Fault> {
        match step {
            Step::Create => self.create().await,
            Step::Plan => self.watch.until(async || self.running().await).await,
            Step::Read => self.read().await,
            Step::Edit => self.edit().await,
            Step::Rotate => self.rotate().await,
            Step::Crash => self.crash().await,
            Step::Withdraw => self.withdraw().await,
            Step::Delete => self.delete().await,
        }
    }

    async fn create(&self) -> Result<String, Fault> {
        let Fixture {
            given,
            namespace,
            name,
            asked,
            ..
        } = self.fixture;
        for secret in &given.secrets {
            self.cluster
                .create(Kind::SECRET, Some(namespace), secret.clone())
                .await?;
        }
        let dataset = given.dataset(name, &asked.plugin, CAPACITY);
        let made = self
            .cluster
            .create(Kind::dataset(given.group), Some(namespace), dataset)
            .await?;
        let endpoint = self.served(&made).await?;
        Ok(format!("the cache answers at {endpoint}"))
    }

    async fn read(&self) -> Result<String, Fault> {
        let read = self.reading().await?;
        self.wrote.set(read.written);
        let file = read.file.strip_prefix(&self.fixture.root);
        let file = file.unwrap_or(&read.file).trim_start_matches('/');
        Ok(format!("{} bytes of {file}", read.bytes))
    }

    /// Reads the first file in a pod of its own.
    async fn reading(&self) -> Result<Reading, Fault> {
        let log = self.once(pods::READ).await?;
        Reading::parse(&log).ok_or_else(|| {
            Fault::Found(if log == "empty" {
                "the bucket is empty and readonly, so that nothing can be read: put a file into it"
                    .to_owned()
            } else {
                format!("the pod that reads said: {log}")
            })
        })
    }

    async fn edit(&self) -> Result<String, Fault> {
        self.capacity.set(EDITED);
        let edition = self.patch(&json!({ "capacity": EDITED })).await?;
        self.served(&edition).await?;
        let found = self.watch.until(async || self.running().await).await?;
        let read = self.reading().await?;
        Ok(format!("{found}; {} bytes read", read.bytes))
    }

    async fn rotate(&self) -> Result<String, Fault> {
        let Fixture {
            given,
            namespace,
            name,
            rotated,
            ..
        } = self.fixture;
        let Some(rotated) = rotated else {
            return Err(Fault::Found("there are no other keys".to_owned()));
        };
        let before = self.rounds_beyond(0).await?;
        for secret in &rotated.secrets {
            let place = (namespace.as_str(), cache::name(secret));
            self.cluster.patch(Kind::SECRET, place, secret).await?;
        }
        let kind = Kind::dataset(given.group);
        let fields = json!({ "spec": { "local": rotated.local() } });
        let edition = self.cluster.patch(kind, (namespace, name), &fields).await?;
        self.watch
            .until(async || {
                // The Secret that pods see follows when the operator has taken the keys.
                let seen = self.cluster.get(Kind::SECRET, Some(namespace), name);
                let seen = file::access_key(&seen.await?.unwrap_or_default());
                Ok(if seen == rotated.access_key {
                    Ok(())
                } else {
                    Err("the operator has not taken the other keys yet".to_owned())
                })
            })
            .await?;
        self.served(&edition).await?;
        let read = self.reading().await?;
        let after = self
            .rounds_beyond(self.rounds().await?.done + FURTHER)
            .await?;
        Ok(format!(
            "the reader read {} times meanwhile, 0 failures; {} bytes read by another pod",
            after.done - before.done,
            read.bytes
        ))
    }

    async fn crash(&self) -> Result<String, Fault> {
        let before = self.rounds_beyond(0).await?;
        let killed = self.pods().await?;
        if killed.is_empty() {
            return Err(Fault::Found(
                "the cache has no pods that could die".to_owned(),
            ));
        }
        let caches = &self.fixture.asked.cache_namespace;
        for pod in &killed {
            self.cluster
                .delete(Kind::POD, Some(caches), cache::name(pod), Some(0))
                .await?;
        }
        let uids: Vec<&Value> = killed.iter().map(|pod| &pod["metadata"]["uid"]).collect();
        self.watch
            .until(async || {
                let there = self.pods().await?;
                if there
                    .iter()
                    .any(|pod| uids.contains(&&pod["metadata"]["uid"]))
                {
                    return Ok(Err(
                        "pods of the cache are still on their way out".to_owned()
                    ));
                }
                self.running().await
            })
            .await?;
        self.served(&Value::Null).await?;
        let after = self
            .rounds_beyond(self.rounds().await?.done + FURTHER)
            .await?;
        let pods = text::counted(killed.len() as u64, "pod");
        Ok(format!(
            "{pods} killed; the reader read {} times meanwhile, 0 failures",
            after.done - before.done
        ))
    }

    async fn withdraw(&self) -> Result<String, Fault> {
        let before = self.rounds_beyond(0).await?;
        self.patch(&json!({ "mode": "Off" })).await?;
        self.gone().await?;
        let after = self
            .rounds_beyond(self.rounds().await?.done + FURTHER)
            .await?;
        self.withdrawn.set(true);
        Ok(format!(
            "nothing is left; the reader read {} times meanwhile, 0 failures",
            after.done - before.done
        ))
    }

    async fn delete(&self) -> Result<String, Fault> {
        let Fixture {
            given,
            namespace,
            name,
            ..
        } = self.fixture;
        let kind = Kind::dataset(given.group);
        if self
            .cluster
            .get(kind, Some(namespace), name)
            .await?
            .is_none()
        {
            return Err(Fault::Found(
                "there is no Dataset: it could not be made".to_owned(),
            ));
        }
        if self.wrote.get() {
            self.once(pods::REMOVE).await?;
        }
        // A cache that is there already when its Dataset goes is another case than one that is off.
        if self.withdrawn.get() {
            let edition = self.patch(&json!({ "mode": "Always" })).await?;
            self.served(&edition).await?;
        }
        let there = self.objects().await?.len() as u64;
        // A pod holds its claim, a finished one too.
        let pods = self
            .cluster
            .list(Kind::POD, Some(namespace), ListParams::default())
            .await?;
        for pod in &pods {
            self.cluster
                .delete(Kind::POD, Some(namespace), cache::name(pod), None)
                .await?;
        }
        self.cluster
            .delete(kind, Some(namespace), name, None)
            .await?;
        self.watch
            .until(async || {
                let dataset = self.cluster.get(kind, Some(namespace), name).await?;
                Ok(dataset.map_or(Ok(()), |dataset| {
                    let info = dataset["status"]["provision"]["info"].as_str();
                    Err(format!(
                        "the Dataset is still there: {}",
                        info.unwrap_or("its status does not say why")
                    ))
                }))
            })
            .await?;
        self.gone().await?;
        let there = text::counted(there, "object");
        Ok(format!("{there} of the cache went with the Dataset"))
    }
}
