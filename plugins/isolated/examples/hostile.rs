//! A plugin that does what its configuration says, which is never what it should: for tests of what
//! contains it.

#![allow(
    unsafe_code,
    reason = "one of the things it does is to write where nothing is"
)]

use std::time::Duration;

use dlf_plugin_sdk::prelude::*;

#[derive(Default)]
struct Hostile;

#[async_trait]
impl CachingPlugin for Hostile {
    fn describe(&self) -> PluginInfo {
        caching("hostile", "1")
            .emits("apps/v1", "Deployment")
            .emits("v1", "Service")
            .emits("v1", "Secret")
            .build()
    }

    async fn plan(&self, request: &CachingRequest) -> Result<CachingPlan, PlanError> {
        let labelled = request.dataset.labels.get("do").map(String::as_str);
        match labelled
            .or(request.config["do"].as_str())
            .unwrap_or_default()
        {
            "panic" => panic!("on purpose"),
            "abort" => std::process::abort(),
            "exit" => std::process::exit(0),
            "segfault" => segfault(),
            "loop" => loop {
                std::hint::spin_loop();
            },
            "late" => Ok(blocks(Duration::from_secs(30))),
            "huge" => Err(PlanError::new("Huge", "x".repeat(1 << 30))),
            "leak" => leak(),
            "log" => Ok(flood()),
            "fork" => Err(PlanError::new("Forked", format!("{} processes", fork()))),
            "kind" => Ok(object(
                request,
                "rbac.authorization.k8s.io/v1",
                "ClusterRole",
                |_| (),
            )),
            "namespace" => Ok(object(request, "v1", "Service", |service| {
                service["metadata"]["namespace"] = json!("kube-system");
            })),
            "name" => Ok(object(request, "v1", "Service", |service| {
                service["metadata"]["name"] = json!("cache-of-another");
            })),
            "secret" => Ok(object(request, "v1", "Secret", |_| ())),
            "field" => Ok(workload(request, |deployment| {
                deployment["spec"]["template"]["spec"]["contaniers"] = json!([]);
            })),
            "image" => Ok(workload(request, |_| ())),
            "origin" => Ok(CachingPlan {
                origins: vec![CacheOrigin::at("http://169.254.169.254:80")],
                condition: CacheCondition::ready("it says so"),
                ..object(request, "v1", "Service", |_| ())
            }),
            "silent" => Ok(CachingPlan {
                origins: vec![CacheOrigin::at(format!(
                    "http://{}.{}.svc:80",
                    request.place.name, request.place.namespace
                ))],
                condition: CacheCondition::ready("it says so, and has no pod"),
                ..object(request, "v1", "Service", |_| ())
            }),
            "deep" => Ok(CachingPlan {
                objects: vec![deep(100_000)],
                ..CachingPlan::default()
            }),
            _ => Ok(CachingPlan::default()),
        }
    }
}

fn segfault() -> ! {
    let nowhere = std::ptr::without_provenance_mut::<u8>(16);
    // SAFETY: none; that is what this is for.
    unsafe { nowhere.write_volatile(1) };
    unreachable!("the write above ends the process")
}

/// Blocks the plugin's own thread.
fn blocks(long: Duration) -> CachingPlan {
    std::thread::sleep(long);
    CachingPlan::default()
}

/// Starts processes until it may start no more.
fn fork() -> usize {
    let sleep = || std::process::Command::new("sleep").arg("60").spawn();
    let started: Vec<_> = (0..10_000).map_while(|_| sleep().ok()).collect();
    let count = started.len();
    for mut process in started {
        let _ = process.kill();
        let _ = process.wait();
    }
    count
}

/// A plan of one object, changed by `spoil`.
fn object(
    request: &CachingRequest,
    api_version: &str,
    kind: &str,
    spoil: impl FnOnce(&mut Value),
) -> CachingPlan {
    let place = &request.place;
    let mut object = json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": { "name": place.name, "namespace": place.namespace },
        "spec": { "selector": place.labels, "ports": [{ "port": 80 }] },
    });
    spoil(&mut object);
    CachingPlan {
        objects: vec![object],
        ..CachingPlan::default()
    }
}

/// A plan of one Deployment, of an image that is nowhere, changed by `spoil`.
fn workload(request: &CachingRequest, spoil: impl FnOnce(&mut Value)) -> CachingPlan {
    let mut plan = Server::new(request, "registry.invalid/no-such-image:1", 8080).plan();
    plan.objects.retain(|object| object["kind"] == "Deployment");
    if let Some(deployment) = plan.objects.first_mut() {
        spoil(deployment);
    }
    plan
}

fn leak() -> ! {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(vec![1; 1 << 20]);
    }
}

fn flood() -> CachingPlan {
    for number in 0..100_000 {
        eprintln!("line {number} of a flood");
    }
    CachingPlan::default()
}

fn deep(levels: usize) -> Value {
    let mut value = json!(1);
    for _ in 0..levels {
        value = json!([value]);
    }
    value
}

dlf_plugin_sdk::export_plugin!(Hostile: caching);
