//! One type, three carriers, the same bytes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../examples/proxy.rs"]
#[allow(
    dead_code,
    unsafe_code,
    reason = "here it is a plugin of this program, without its entry"
)]
mod proxy;

use std::{path::Path, sync::Arc};

use dlf_core::plugin::{CachingPlugin, CachingRequest};
use dlf_plugin_host::carrier::{Library, Process, Remote, Socket};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const HOST: &str = env!("CARGO_BIN_EXE_dlf-plugin-host");

fn carriers(runtime: &Runtime) -> [Arc<dyn CachingPlugin>; 3] {
    let library = Path::new(HOST)
        .parent()
        .unwrap()
        .join("examples/libproxy.so");
    let arguments = vec!["--library".into(), library.clone().into()];
    let isolated = Socket::new(Process::new(HOST.as_ref(), arguments).unwrap());
    let in_process = Library::load(&library, None).unwrap();
    let meet = |channel| Arc::new(runtime.block_on(Remote::meet(channel)).unwrap());
    [
        Arc::new(proxy::Proxy),
        meet(Arc::new(in_process)),
        meet(Arc::new(isolated)),
    ]
}

fn requests() -> impl Strategy<Value = CachingRequest> {
    let text = || prop_oneof![any::<String>(), "[a-z0-9./:-]{0,40}"];
    let config = prop_oneof![
        9 => text().prop_map(|image| json!({ "image": image })),
        1 => Just(Value::Null),
    ];
    let observed = proptest::collection::vec(
        (text(), any::<u32>()).prop_map(|(name, ready)| {
            json!({ "kind": "Deployment", "metadata": { "name": name }, "status": { "readyReplicas": ready } })
        }),
        0..3,
    );
    let labels = proptest::collection::btree_map(text(), text(), 0..4);
    let numbers = (
        any::<u64>(),
        any::<u32>(),
        proptest::option::of(any::<u64>()),
    );
    (text(), text(), config, observed, labels, numbers, any::<bool>()).prop_map(
        |(endpoint, name, config, observed, labels, (capacity, replicas, revalidate), goes)| {
            serde_json::from_value(json!({
                "dataset": { "namespace": "ns", "name": name, "uid": "u", "labels": labels },
                "source": {
                    "endpoint": endpoint, "bucket": "books", "prefix": name, "region": "",
                    "keys": { "from": "secret", "name": name }, "caSecret": null,
                    "readonly": goes, "provision": false, "removeOnDelete": false,
                },
                "decision": { "capacityBytes": capacity, "replicas": replicas, "medium": "Disk", "revalidateMs": revalidate },
                "place": { "namespace": "dlf-caches", "name": name, "labels": labels },
                "intent": if goes { "delete" } else { "exist" },
                "observed": { "objects": observed },
                "config": config,
            }))
            .unwrap()
        },
    )
}

#[test]
fn every_carrier_gives_the_same_plan_byte_by_byte() {
    let runtime = Runtime::new().unwrap();
    let carriers = carriers(&runtime);
    proptest!(|(request in requests())| {
        let plans = carriers.each_ref().map(|plugin| {
            let plan = runtime.block_on(plugin.plan(&request));
            serde_json::to_string(&plan.map_err(|error| (error.reason, error.message))).unwrap()
        });
        prop_assert_eq!(&plans[0], &plans[1]);
        prop_assert_eq!(&plans[0], &plans[2]);
    });
}
