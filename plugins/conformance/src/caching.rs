use dlf_core::plugin::{
    CACHE_STATS, CacheStats, CacheTask, CachingPlan, CachingPlugin, CachingRequest, EndpointStatus,
    Intent, TaskOutcome, TaskResult, policy,
};
use dlf_plugin_host::carrier::Remote;
use serde_json::{Value, json};

use crate::{
    report::{Report, Wrong},
    requests, typed,
};

/// The reason of a plugin that cannot cache this source: its dataset is served without a cache.
const NOT_SUPPORTED: &str = "SourceNotSupported";

const ALLOWED: &str = "its objects are of kinds, names and powers that caches may have";
const TYPED: &str = "its objects have only fields that Kubernetes knows";
const EARLY: &str = "it sends no read to a cache of which nothing is there yet";
const STABLE: &str = "its objects stay the same when they are there";
const SERVES: &str = "it sends reads to a cache that is ready, and says so";

/// What a caching plugin has to do.
pub(crate) async fn check(report: &mut Report, remote: &Remote, config: &Value) {
    let mut found = Found::default();
    let requests = requests::caching(Intent::Exist, remote.info().needs, config);
    let asked = requests.len();
    for request in requests {
        found.note(request, remote).await;
    }
    if found.not_supported == asked && found.planned.is_ok() {
        found.planned = Err(format!("{NOT_SUPPORTED} for every source").into());
    }
    let Found {
        planned,
        allowed,
        typed,
        early,
        stable,
        serves,
        not_supported: _,
    } = found;
    let is_planned = planned.is_ok();
    report.enter(
        "it plans a cache in front of buckets of every kind",
        planned,
        "plan with and without keys, prefix, private CA and region; what cannot be cached is answered with reason \
         SourceNotSupported",
    );
    if is_planned {
        report.enter(
            ALLOWED,
            allowed,
            "see the rules in docs/plugin-protocol.md, section Plans",
        );
        report.enter(
            TYPED,
            typed,
            "write it as `kubectl explain` shows it for the kind; fields that are newer than Kubernetes 1.33 are not \
             known here",
        );
        report.enter(
            EARLY,
            early,
            "give `origins` only once `observed` shows a replica that is ready",
        );
        report.enter(
            STABLE,
            stable,
            "let no object depend on `observed`: a plan of what was planned is that plan",
        );
        report.enter(
            SERVES,
            serves,
            "observe the workload (PluginInfo.observes), and give `origins` and `condition.ready` when its status shows readyReplicas",
        );
    } else {
        let of_a_plan = [ALLOWED, TYPED, EARLY, STABLE, SERVES];
        report.skip(of_a_plan, "not every bucket was planned for");
    }
    let mut leaving: Result<(), Wrong> = Ok(());
    for request in requests::caching(Intent::Delete, remote.info().needs, config) {
        match CachingPlugin::plan(remote, &request).await {
            Ok(plan) if plan.objects.is_empty() && plan.origins.is_empty() => {}
            Ok(plan) => {
                leaving = Err(format!(
                    "{} objects and origins {:?}",
                    plan.objects.len(),
                    plan.origins
                )
                .into());
            }
            Err(error) => leaving = Err(error.into()),
        }
    }
    report.enter(
        "it plans nothing for a cache that is to go",
        leaving,
        "answer intent `delete` with an empty plan",
    );
}

struct Found {
    planned: Result<(), Wrong>,
    allowed: Result<(), Wrong>,
    typed: Result<(), Wrong>,
    early: Result<(), Wrong>,
    stable: Result<(), Wrong>,
    serves: Result<(), Wrong>,
    not_supported: usize,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            planned: Ok(()),
            allowed: Ok(()),
            typed: Ok(()),
            early: Ok(()),
            stable: Ok(()),
            serves: Ok(()),
            not_supported: 0,
        }
    }
}

impl Found {
    async fn note(&mut self, mut request: CachingRequest, remote: &Remote) {
        let first = match CachingPlugin::plan(remote, &request).await {
            Ok(plan) if plan.objects.is_empty() => {
                self.planned = Err("a plan without objects".to_owned().into());
                return;
            }
            Ok(plan) => plan,
            Err(error) if error.reason == NOT_SUPPORTED => {
                self.not_supported += 1;
                return;
            }
            Err(error) => {
                self.planned = Err(error.into());
                return;
            }
        };
        if let Err(error) = policy::check(&first, remote.info(), &request.place, &request.decision)
        {
            self.allowed = Err(error.message.into());
        }
        for object in &first.objects {
            if let Err(found) = typed::check(object) {
                self.typed = Err(found.into());
            }
        }
        if let Some(origin) = first.origins.first() {
            self.early = Err(format!("reads would go to {}", origin.endpoint).into());
        }
        request.observed.objects = observed(&first, remote);
        let second = match CachingPlugin::plan(remote, &request).await {
            Ok(plan) => plan,
            Err(error) => {
                self.stable = Err(error.into());
                return;
            }
        };
        if let Some((before, after)) = difference(&first, &second) {
            self.stable = Err(format!("{before}, and then {after}").into());
        }
        if second.origins.is_empty() || !second.condition.ready {
            let said = &second.condition;
            self.serves = Err(format!(
                "origins {:?}, {}: {}",
                second.origins, said.reason, said.message
            )
            .into());
        }
        if let Err(error) = policy::check(&second, remote.info(), &request.place, &request.decision)
        {
            self.allowed = Err(error.message.into());
            return;
        }
        if second.status_endpoints.is_empty() && second.tasks.is_empty() {
            return;
        }
        // The same once replicas were asked, and work was done.
        request.observed.status = {
            let endpoints = second.status_endpoints.iter();
            endpoints.map(|endpoint| answered(endpoint)).collect()
        };
        request.observed.results = second.tasks.iter().map(done).collect();
        match CachingPlugin::plan(remote, &request).await {
            Ok(third) => {
                if let Some((before, after)) = difference(&second, &third) {
                    self.stable = Err(format!("{before}, and then {after}").into());
                }
                let checked =
                    policy::check(&third, remote.info(), &request.place, &request.decision);
                if let Err(error) = checked {
                    self.allowed = Err(error.message.into());
                }
            }
            Err(error) => self.stable = Err(error.into()),
        }
    }
}

/// What a replica answers that keeps something.
fn answered(endpoint: &str) -> EndpointStatus {
    EndpointStatus {
        endpoint: endpoint.to_owned(),
        stats: Some(CacheStats {
            version: CACHE_STATS,
            used_bytes: 1 << 20,
            hit_bytes: 3 << 20,
            miss_bytes: 1 << 20,
            node: "node-1".to_owned(),
        }),
        failure: String::new(),
    }
}

fn done(task: &CacheTask) -> TaskResult {
    TaskResult {
        task: task.clone(),
        objects: 1,
        bytes: 1 << 20,
        outcome: Some(TaskOutcome::Done),
    }
}

/// What the plugin would see of its plan once all of it runs, as the API server shows it.
fn observed(plan: &CachingPlan, remote: &Remote) -> Vec<Value> {
    let observes = &remote.info().observes;
    let seen = plan.objects.iter().filter(|object| {
        let mut kinds = observes.iter();
        kinds.any(|kind| object["apiVersion"] == kind.api_version && object["kind"] == kind.kind)
    });
    seen.map(|object| {
        let mut object = object.clone();
        object["metadata"]["uid"] = json!("4f9c7e1a-0000-4000-8000-000000000001");
        object["metadata"]["resourceVersion"] = json!("7");
        object["metadata"]["generation"] = json!(1);
        if matches!(object["kind"].as_str(), Some("Deployment" | "StatefulSet")) {
            let replicas = object["spec"]["replicas"].as_u64().unwrap_or(1);
            object["status"] = json!({
                "observedGeneration": 1, "replicas": replicas, "readyReplicas": replicas,
                "availableReplicas": replicas, "updatedReplicas": replicas,
            });
        }
        object
    })
    .collect()
}

fn difference(first: &CachingPlan, second: &CachingPlan) -> Option<(String, String)> {
    if first.objects == second.objects {
        return None;
    }
    let mut pairs = first.objects.iter().zip(&second.objects);
    let differing = pairs.find(|(one, other)| one != other);
    Some(match differing {
        Some((one, other)) => (one.to_string(), other.to_string()),
        None => (
            format!("{} objects", first.objects.len()),
            second.objects.len().to_string(),
        ),
    })
}
