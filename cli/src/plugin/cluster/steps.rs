//! What each step does.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};

use dlf_core::api::quantity_bytes;
use serde_json::{Value, json};

use super::{
    Target, cache,
    order::Step,
    pods::{self, Pod, READER, Rounds},
    wait::{Fault, Look, Watch},
};
use crate::cluster::{Cluster, Kind};

const CAPACITY: &str = "100Mi";
const EDITED: &str = "200Mi";
/// Rounds of the reader after something happened, so that it met it.
const FURTHER: u64 = 5;

/// What the steps know of what the ones before them did.
pub(super) struct Suite<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) target: &'a Target<'a>,
    pub(super) watch: Watch,
    capacity: Cell<&'static str>,
    caches: RefCell<BTreeSet<String>>,
    reading: Cell<bool>,
    /// Whether the bucket was empty, and a file was written.
    wrote: Cell<bool>,
    withdrawn: Cell<bool>,
    made: Cell<u32>,
}

impl<'a> Suite<'a> {
    pub(super) fn new(cluster: &'a Cluster, target: &'a Target<'a>) -> Self {
        Self {
            cluster,
            target,
            watch: Watch::default(),
            capacity: Cell::new(CAPACITY),
            caches: RefCell::default(),
            reading: Cell::default(),
            wrote: Cell::default(),
            withdrawn: Cell::default(),
            made: Cell::default(),
        }
    }

    pub(super) async fn run(&self, step: Step) -> Result<String, Fault> {
        match step {
            Step::Create => self.create().await,
            Step::Plan => self.watch.until(async || self.running().await).await,
            Step::Read => self.read().await,
            Step::Edit => self.edit().await,
            Step::Crash => self.crash().await,
            Step::Withdraw => self.withdraw().await,
            Step::Delete => self.delete().await,
        }
    }

    async fn create(&self) -> Result<String, Fault> {
        let Target {
            given,
            namespace,
            name,
            asked,
            ..
        } = self.target;
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

    /// Waits until the cache serves what this edition of the Dataset asks for; gives its endpoint.
    async fn served(&self, edition: &Value) -> Result<String, Fault> {
        let generation = edition["metadata"]["generation"].as_i64();
        let Target {
            given,
            namespace,
            name,
            ..
        } = self.target;
        self.watch
            .until(async || {
                let of = |kind| self.cluster.get(kind, Some(namespace), name);
                let dataset = of(Kind::dataset(given.group)).await?.unwrap_or_default();
                let endpoint = match ready(&dataset, generation, self.capacity.get())? {
                    Ok(endpoint) => endpoint,
                    Err(instead) => return Ok(Err(instead)),
                };
                // The condition and where nodes read are two writes.
                let internal = of(Kind::internal(given.group)).await?.unwrap_or_default();
                let effective = internal["spec"]["local"]["endpoint"]
                    .as_str()
                    .unwrap_or("nowhere");
                if effective == endpoint {
                    Ok(Ok(endpoint))
                } else {
                    Ok(Err(format!(
                        "the cache answers at {endpoint}, nodes read at {effective}"
                    )))
                }
            })
            .await
    }

    async fn objects(&self) -> Result<Vec<Value>, Fault> {
        let (caches, namespace) = (&self.target.asked.cache_namespace, &self.target.namespace);
        Ok(cache::objects(self.cluster, caches, namespace).await?)
    }

    async fn pods(&self) -> Result<Vec<Value>, Fault> {
        let names = self.caches.borrow().clone();
        Ok(cache::pods(self.cluster, &self.target.asked.cache_namespace, &names).await?)
    }

    async fn running(&self) -> Look<String> {
        let objects = self.objects().await?;
        self.caches.borrow_mut().extend(cache::names(&objects));
        Ok(cache::running(&objects, &self.target.asked.plugin))
    }

    async fn read(&self) -> Result<String, Fault> {
        let log = self.once(pods::READ).await?;
        let Some((bytes, file)) = log.split_once(' ') else {
            return Err(Fault::Found(
                "the bucket is empty and readonly, so that nothing can be read: put a file into it"
                    .to_owned(),
            ));
        };
        let file = file
            .strip_prefix(&self.target.root)
            .unwrap_or(file)
            .trim_start_matches('/');
        self.wrote
            .set(file == pods::WRITTEN && !self.target.given.readonly);
        Ok(format!("{bytes} bytes of {file}"))
    }

    async fn edit(&self) -> Result<String, Fault> {
        self.capacity.set(EDITED);
        let edition = self.patch(&json!({ "capacity": EDITED })).await?;
        self.served(&edition).await?;
        let found = self.watch.until(async || self.running().await).await?;
        let log = self.once(pods::READ).await?;
        let bytes = log.split(' ').next().unwrap_or_default();
        Ok(format!("{found}; {bytes} bytes read"))
    }

    async fn crash(&self) -> Result<String, Fault> {
        let before = self.rounds_beyond(0).await?;
        let killed = self.pods().await?;
        let caches = &self.target.asked.cache_namespace;
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
        let pods = crate::text::counted(killed.len() as u64, "pod");
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
        let Target {
            given,
            namespace,
            name,
            ..
        } = self.target;
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
            .list(
                Kind::POD,
                Some(namespace),
                kube::core::params::ListParams::default(),
            )
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
        let there = crate::text::counted(there, "object");
        Ok(format!("{there} of the cache went with the Dataset"))
    }

    /// Waits until nothing is left in the namespace of caches.
    async fn gone(&self) -> Result<(), Fault> {
        self.watch
            .until(async || {
                let mut left = self.objects().await?;
                left.extend(self.pods().await?);
                Ok(if left.is_empty() {
                    Ok(())
                } else {
                    Err(format!("left: {}", cache::shown(&left)))
                })
            })
            .await
    }

    /// Merges fields into the Dataset's cache block.
    async fn patch(&self, cache: &Value) -> Result<Value, Fault> {
        let Target {
            given,
            namespace,
            name,
            ..
        } = self.target;
        let fields = json!({ "spec": { "cache": cache } });
        let kind = Kind::dataset(given.group);
        Ok(self.cluster.patch(kind, (namespace, name), &fields).await?)
    }

    fn pod<'p>(&'p self, name: &'p str) -> Pod<'p> {
        Pod {
            name,
            dataset: &self.target.name,
            root: &self.target.root,
            image: &self.target.asked.image,
            write: !self.target.given.readonly,
        }
    }

    /// Runs a script in a pod of its own; gives the last line of its log.
    async fn once(&self, script: &str) -> Result<String, Fault> {
        let namespace = &self.target.namespace;
        self.made.set(self.made.get() + 1);
        let name = format!("once-{}", self.made.get());
        self.cluster
            .create(Kind::POD, Some(namespace), self.pod(&name).of(script))
            .await?;
        let done = self
            .watch
            .until(async || pods::done(self.cluster, namespace, &name).await)
            .await?;
        done.map_err(Fault::Found)
    }

    /// How far the reader is, which is started if it is not there yet.
    async fn rounds(&self) -> Result<Rounds, Fault> {
        self.rounds_beyond(0).await
    }

    /// Waits until the reader has read more often than `beyond`, and never in vain.
    async fn rounds_beyond(&self, beyond: u64) -> Result<Rounds, Fault> {
        let namespace = &self.target.namespace;
        if !self.reading.replace(true) {
            self.cluster
                .create(Kind::POD, Some(namespace), self.pod(READER).reader())
                .await?;
        }
        self.watch
            .until(async || {
                let pod = self.cluster.get(Kind::POD, Some(namespace), READER).await?;
                let pod = pod.unwrap_or_default();
                if pod["status"]["phase"] != "Running" {
                    return Ok(Err(
                        pods::standing(self.cluster, namespace, &pod, READER).await
                    ));
                }
                let log = self.cluster.log(namespace, READER, 1).await?;
                match Rounds::parse(&log) {
                    Some(rounds) if rounds.failures > 0 => Err(Fault::Found(format!(
                        "the reader read {} times, and failed {}: {}",
                        rounds.done,
                        crate::text::counted(rounds.failures, "time"),
                        rounds.last
                    ))),
                    Some(rounds) if rounds.done > beyond => Ok(Ok(rounds)),
                    Some(rounds) => Ok(Err(format!(
                        "the reader does not go on: it read {} times",
                        rounds.done
                    ))),
                    None => Ok(Err(format!("the reader says: {}", log.trim()))),
                }
            })
            .await
    }
}

/// Where a Dataset's cache answers, once it is ready for this edition; what is said of it otherwise.
fn ready(dataset: &Value, generation: Option<i64>, capacity: &str) -> Look<String> {
    let status = &dataset["status"];
    let conditions = status["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let Some(condition) = conditions.find(|condition| condition["type"] == "CacheReady") else {
        let info = status["provision"]["info"]
            .as_str()
            .unwrap_or("no status yet");
        return Ok(Err(format!(
            "the Dataset has no condition CacheReady: {info}"
        )));
    };
    let said = |field: &str| condition[field].as_str().unwrap_or_default();
    let shown = format!(
        "CacheReady is {} ({}): {}",
        said("status"),
        said("reason"),
        said("message")
    );
    if condition["observedGeneration"].as_i64() < generation {
        return Ok(Err(format!("{shown}, of an earlier edition")));
    }
    if status["caching"]["status"] == "Failed" {
        return Err(Fault::Found(shown));
    }
    let planned = status["cache"]["capacity"].as_str();
    let endpoint = status["cache"]["endpoint"]
        .as_str()
        .filter(|endpoint| !endpoint.is_empty());
    match endpoint {
        _ if said("status") != "True" => Ok(Err(shown)),
        _ if planned.and_then(quantity_bytes) != quantity_bytes(capacity) => Ok(Err(format!(
            "{shown}, with a capacity of {}",
            planned.unwrap_or("nothing")
        ))),
        Some(endpoint) => Ok(Ok(endpoint.to_owned())),
        None => Ok(Err(format!(
            "{shown}, and status.cache.endpoint is not set"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_ready_for_one_edition() {
        let of = |status: &str, phase: &str, capacity: &str| {
            json!({ "status": {
                "conditions": [{ "type": "CacheReady", "status": status, "reason": "R", "message": "m", "observedGeneration": 2 }],
                "caching": { "status": phase },
                "cache": { "capacity": capacity, "endpoint": "http://c:80" },
            }})
        };
        let there = of("True", "OK", "100Mi");
        assert_eq!(
            ready(&there, Some(2), "100Mi").unwrap().unwrap(),
            "http://c:80"
        );
        let instead = |dataset: Value, generation| {
            ready(&dataset, Some(generation), "100Mi")
                .unwrap()
                .unwrap_err()
        };
        assert!(instead(there.clone(), 3).contains("earlier edition"));
        assert!(instead(of("True", "OK", "200Mi"), 2).contains("capacity of 200Mi"));
        assert_eq!(
            instead(of("False", "Pending", ""), 2),
            "CacheReady is False (R): m"
        );
        assert!(instead(Value::Null, 1).contains("no status yet"));
        // What only an edit cures is not waited for.
        let failed = ready(&of("False", "Failed", ""), Some(2), "100Mi").unwrap_err();
        assert_eq!(failed.to_string(), "CacheReady is False (R): m");
    }
}
