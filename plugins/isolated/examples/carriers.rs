//! What one `plan` costs under each carrier, what an isolated plugin needs to start and to be there, and what
//! other Datasets of a plugin notice while it loops over one.

#![allow(
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "figures for people; what fails ends it"
)]

#[path = "proxy.rs"]
#[allow(
    dead_code,
    unsafe_code,
    reason = "here it is a plugin of this program, without its entry"
)]
mod proxy;

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use dlf_core::plugin::{CachingPlugin, CachingRequest};
use dlf_plugin_host::{
    carrier::{Channel, Guard, Library, Limits, Process, Remote, Socket},
    metrics::Metrics,
};
use serde_json::json;
use tokio::task::JoinSet;

const CALLS: usize = 2_000;
const STARTS: usize = 20;
const OTHERS: usize = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let built = env::current_exe().unwrap();
    let built = built.parent().unwrap();
    let (library, host) = (built.join("libproxy.so"), built.join("../dlf-plugin-host"));
    let in_process = Library::load(&library, None).expect("the library");
    let carriers: [(&str, Arc<dyn CachingPlugin>); 3] = [
        ("built-in", Arc::new(proxy::Proxy)),
        ("in-process", Arc::new(met(Arc::new(in_process)).await)),
        ("isolated", Arc::new(met(isolated(&host, &library)).await)),
    ];
    println!("one plan, {CALLS} in turn");
    println!(
        "  {:<12} {:>10} {:>10} {:>10}",
        "carrier", "request", "p50", "p99"
    );
    for bytes in [2 << 10, 200 << 10] {
        let request = request(bytes);
        let length = serde_json::to_vec(&request).unwrap().len();
        for (name, plugin) in &carriers {
            let mut times = Vec::with_capacity(CALLS);
            for _ in 0..CALLS {
                let began = Instant::now();
                plugin.plan(&request).await.expect("a plan");
                times.push(began.elapsed());
            }
            let [p50, p99] = [50, 99].map(|percent| percentile(&mut times, percent));
            println!(
                "  {name:<12} {:>7} KB {p50:>7.0} µs {p99:>7.0} µs",
                length >> 10
            );
        }
    }
    drop(carriers);
    let (mut starts, mut memory) = (Vec::new(), 0);
    for _ in 0..STARTS {
        let began = Instant::now();
        let plugin = met(isolated(&host, &library)).await;
        starts.push(began.elapsed());
        memory = memory.max(
            children()
                .iter()
                .map(|child| resident(child))
                .max()
                .unwrap_or_default(),
        );
        drop(plugin);
    }
    println!(
        "  isolated, {STARTS} starts: it says who it is after p50 {:.1} ms, and holds {:.1} MiB",
        percentile(&mut starts, 50) / 1000.0,
        memory as f64 / 1024.0,
    );
    println!("\n{OTHERS} Datasets of a plugin, planned while its plan for another loops");
    let hostile = built.join("libhostile.so");
    beside_a_loop("isolated", isolated(&host, &hostile)).await;
    // The last, for its loop takes a processor from now on.
    let in_process = Library::load(&hostile, None).expect("the library");
    beside_a_loop("in-process", Arc::new(in_process)).await;
}

async fn beside_a_loop(carrier: &str, channel: Arc<dyn Channel>) {
    let plugin = Arc::new(met(channel).await);
    let plan = |number: usize, what: &str| {
        let mut request = request(2 << 10);
        request.dataset.uid = number.to_string();
        request.config = json!({ "do": what });
        let plugin = Arc::clone(&plugin);
        async move {
            let began = Instant::now();
            let planned = plugin.plan(&request).await;
            (planned, began.elapsed())
        }
    };
    let looping = tokio::spawn(plan(OTHERS, "loop"));
    tokio::time::sleep(Duration::from_millis(100)).await; // the plugin has it
    let others: JoinSet<_> = (0..OTHERS).map(|number| plan(number, "well")).collect();
    let mut times = Vec::new();
    for (planned, time) in others.join_all().await {
        planned.expect("a plan");
        times.push(time);
    }
    let [p50, p99] = [50, 99].map(|percent| percentile(&mut times, percent) / 1000.0);
    println!("  {carrier:<12} {p50:>7.0} ms {p99:>7.0} ms");
    let (failed, _) = looping.await.expect("an answer");
    println!("  {}", failed.expect_err("a loop").message);
}

fn isolated(host: &Path, library: &Path) -> Arc<dyn Channel> {
    let arguments = vec!["--library".into(), library.into()];
    Arc::new(Socket::new(Process::new(host, arguments).unwrap()))
}

async fn met(channel: Arc<dyn Channel>) -> Remote {
    let guard = Guard::new("bench", channel, Limits::default(), Metrics::default());
    Remote::meet(Arc::new(guard)).await.expect("who it is")
}

/// A request of about so many bytes, most of it what was observed.
fn request(bytes: usize) -> CachingRequest {
    let one = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "c-u", "labels": { "app.kubernetes.io/name": "cache" } },
        "spec": { "template": { "spec": { "containers": [{ "name": "cache", "image": "example/cache:1" }] } } },
        "status": { "readyReplicas": 1, "conditions": [{ "type": "Available", "status": "True" }] },
    });
    let count = bytes
        .saturating_sub(600)
        .div_ceil(one.to_string().len())
        .max(1);
    let observed = vec![one; count];
    serde_json::from_value(json!({
        "dataset": { "namespace": "ns", "name": "books", "uid": "u", "labels": {} },
        "source": {
            "endpoint": "http://s3", "bucket": "books", "prefix": "", "region": "",
            "keys": { "from": "anonymous" }, "caSecret": null,
            "readonly": false, "provision": false, "removeOnDelete": false,
        },
        "decision": { "capacityBytes": 1 << 30, "replicas": 1, "medium": "Disk", "revalidateMs": null },
        "place": { "namespace": "dlf-caches", "name": "c-u", "labels": { "dlf.dev/cache": "u" } },
        "intent": "exist",
        "observed": { "objects": observed },
        "config": { "image": "example/cache:1" },
    }))
    .unwrap()
}

/// Microseconds.
fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6
}

/// Directories in /proc of this process' children.
fn children() -> Vec<PathBuf> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .flat_map(|task| {
            let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            text.split_whitespace()
                .map(|pid| Path::new("/proc").join(pid))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// KiB that a process holds.
fn resident(process: &Path) -> u64 {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse().ok()).unwrap_or_default()
}
