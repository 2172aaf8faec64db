//! What the steps share: what they made, and how they look at it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};

use dlf_core::api::quantity_bytes;
use serde_json::{Value, json};

use super::{
    Fixture, cache,
    pods::{self, Pod, READER, Rounds},
    wait::{Fault, Look, Watch},
};
use crate::cluster::{Cluster, Kind};

/// Capacity of the cache at first.
pub(super) const CAPACITY: &str = "100Mi";

/// What the steps know of what the ones before them did.
pub(super) struct Suite<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) fixture: &'a Fixture<'a>,
    pub(super) watch: Watch,
    pub(super) capacity: Cell<&'static str>,
    pub(super) caches: RefCell<BTreeSet<String>>,
    pub(super) reading: Cell<bool>,
    /// Whether the bucket was empty, and a file was written.
    pub(super) wrote: Cell<bool>,
    pub(super) withdrawn: Cell<bool>,
    made: Cell<u32>,
}

impl<'a> Suite<'a> {
    pub(super) fn new(cluster: &'a Cluster, fixture: &'a Fixture<'a>) -> Self {
        Self {
            cluster,
            fixture,
            watch: Watch::default(),
            capacity: Cell::new(CAPACITY),
            caches: RefCell::default(),
            reading: Cell::default(),
            wrote: Cell::default(),
            withdrawn: Cell::default(),
            made: Cell::default(),
        }
    }

    /// Waits until the cache serves what this edition of the Dataset asks for; gives its endpoint.
    pub(super) async fn served(&self, edition: &Value) -> Result<String, Fault> {
        let generation = edition["metadata"]["generation"].as_i64();
        let Fixture {
            given,
            namespace,
            name,
            ..
        } = self.fixture;
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

    pub(super) async fn objects(&self) -> Result<Vec<Value>, Fault> {
        let (caches, namespace) = (&self.fixture.asked.cache_namespace, &self.fixture.namespace);
        Ok(cache::objects(self.cluster, caches, namespace).await?)
    }

    pub(super) async fn pods(&self) -> Result<Vec<Value>, Fault> {
        let names = self.caches.borrow().clone();
        Ok(cache::pods(self.cluster, &self.fixture.asked.cache_namespace, &names).await?)
    }

    pub(super) async fn running(&self) -> Look<String> {
        let objects = self.objects().await?;
        self.caches.borrow_mut().extend(cache::names(&objects));
        Ok(cache::running(&objects, &self.fixture.asked.plugin))
    }

    /// Waits until nothing is left in the namespace of caches.
    pub(super) async fn gone(&self) -> Result<(), Fault> {
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
    pub(super) async fn patch(&self, cache: &Value) -> Result<Value, Fault> {
        let Fixture {
            given,
            namespace,
            name,
            ..
        } = self.fixture;
        let fields = json!({ "spec": { "cache": cache } });
        let kind = Kind::dataset(given.group);
        Ok(self.cluster.patch(kind, (namespace, name), &fields).await?)
    }

    fn pod<'p>(&'p self, name: &'p str) -> Pod<'p> {
        Pod {
            name,
            dataset: &self.fixture.name,
            root: &self.fixture.root,
            image: &self.fixture.asked.image,
            write: !self.fixture.given.readonly,
        }
    }

    /// Runs a script in a pod of its own; gives the last line of its log.
    pub(super) async fn once(&self, script: &str) -> Result<String, Fault> {
        let namespace = &self.fixture.namespace;
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
    pub(super) async fn rounds(&self) -> Result<Rounds, Fault> {
        self.rounds_beyond(0).await
    }

    /// Waits until the reader has read more often than `beyond`, and never in vain.
    pub(super) async fn rounds_beyond(&self, beyond: u64) -> Result<Rounds, Fault> {
        let namespace = &self.fixture.namespace;
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
