//! Under every carrier, a Dataset over which its plugin hangs or ends delays no other by more than one
//! deadline and the plugin's start, and is named.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use dlf_plugin_host::{
    carrier::{ANSWER, Channel, Guard, Library, Limits, OPEN, Remote, Socket},
    metrics::Metrics,
};
use rcgen::ExtendedKeyUsagePurpose;
use tempfile::TempDir;
use tokio::{task::JoinSet, time::sleep};

use self::common::{
    HOST, example, from_c,
    operator::{Authority, Host, Tls},
    plan, plan_for,
};

/// Other Datasets of the plugin, asked for while it hangs.
const OTHERS: usize = 20;

/// A plugin behind `dlf-plugin-host`, as the operator has it.
struct Isolated {
    // Both are needed for as long as it is asked.
    _host: Host,
    _directory: TempDir,
    channel: Arc<dyn Channel>,
}

impl Isolated {
    async fn start(plugin: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
        let host = Host::start(&authority, directory.path(), plugin);
        let operator = authority.leaf(ExtendedKeyUsagePurpose::ClientAuth);
        let channel = Arc::new(Socket::new(Tls::new(&host, &authority, Some(&operator))));
        let mut tries = 0;
        while let Err(fault) = channel.open().await {
            tries += 1;
            assert!(tries < 200, "{fault}");
            sleep(Duration::from_millis(50)).await; // it is starting
        }
        Self {
            _host: host,
            _directory: directory,
            channel,
        }
    }
}

fn in_process(library: &Path) -> Arc<dyn Channel> {
    Arc::new(Library::load(library, None).unwrap())
}

async fn guarded(channel: Arc<dyn Channel>, deadline: Duration) -> (Arc<Guard>, Arc<Remote>) {
    let limits = Limits {
        deadline,
        ..Limits::default()
    };
    let guard = Arc::new(Guard::new(
        "under-test",
        channel,
        limits,
        Metrics::default(),
    ));
    let remote = Remote::meet(Arc::clone(&guard) as Arc<dyn Channel>).await;
    (guard, Arc::new(remote.unwrap()))
}

/// As the operator gives a host, which gives its plugin [`ANSWER`].
const OF_HOST: Duration = OPEN
    .saturating_add(ANSWER)
    .saturating_add(Duration::from_secs(1));

/// Has the plugin do `what` over one Dataset, and plan for others meanwhile.
async fn others_beside(
    carrier: &str,
    channel: Arc<dyn Channel>,
    deadline: Duration,
    what: &'static str,
) {
    let (guard, plugin) = guarded(channel, deadline).await;
    let culprit = tokio::spawn({
        let plugin = Arc::clone(&plugin);
        async move { plan_for(&plugin, "books", what).await }
    });
    sleep(Duration::from_millis(100)).await; // the plugin has it
    let mut others = JoinSet::new();
    for number in 0..OTHERS {
        let plugin = Arc::clone(&plugin);
        others.spawn(async move {
            let began = Instant::now();
            let planned = plan_for(&plugin, &format!("other-{number}"), "well").await;
            (planned, began.elapsed())
        });
    }
    let mut took = Vec::new();
    for (planned, time) in others.join_all().await {
        assert!(planned.is_ok(), "{carrier}, {what}: {planned:?}");
        assert!(time < ANSWER + OPEN, "{carrier}, {what}: {time:?}");
        took.push(time);
    }
    took.sort_unstable();
    println!(
        "{carrier}, one Dataset that does `{what}`: others planned after p50 {} ms and p99 {} ms",
        took[OTHERS / 2].as_millis(),
        took[OTHERS - 1].as_millis()
    );
    let error = culprit.await.unwrap().unwrap_err();
    let named = "its plan for team-a/books failed: it ";
    assert!(
        error.message.starts_with(named),
        "{carrier}, {what}: {error:?}"
    );
    assert!(error.again_in.is_some(), "{carrier}, {what}: {error:?}");
    let culprits = guard.culprits();
    assert_eq!(culprits.len(), 1, "{carrier}, {what}: {culprits:?}");
    assert_eq!(culprits[0].dataset, "team-a/books");
    assert_eq!(guard.fault(), None, "it plans for the others");
}

#[tokio::test]
async fn a_dataset_of_an_isolated_library_that_loops_or_ends_delays_no_other_by_more_than_a_deadline()
 {
    let library = example("hostile");
    let isolated = Isolated::start(&["--library", library.to_str().unwrap()]).await;
    for what in ["loop", "abort", "late"] {
        others_beside(
            "isolated library",
            Arc::clone(&isolated.channel),
            OF_HOST,
            what,
        )
        .await;
    }
}

#[tokio::test]
async fn a_dataset_of_an_isolated_program_that_loops_delays_no_other_by_more_than_a_deadline() {
    let library = example("hostile");
    let program = ["--", HOST, "--library", library.to_str().unwrap()];
    let isolated = Isolated::start(&program).await;
    for what in ["loop", "abort"] {
        others_beside(
            "isolated program",
            Arc::clone(&isolated.channel),
            OF_HOST,
            what,
        )
        .await;
    }
}

#[tokio::test]
async fn a_dataset_of_a_library_in_this_process_that_loops_delays_no_other_by_more_than_a_deadline()
{
    others_beside(
        "in-process",
        in_process(&example("hostile")),
        ANSWER,
        "loop",
    )
    .await;
    // Its `call` itself does not come back.
    others_beside(
        "in-process, in C",
        in_process(&from_c("loops", &[])),
        ANSWER,
        "loop",
    )
    .await;
}

#[tokio::test]
async fn calls_that_cannot_be_ended_cost_one_instance_for_each_dataset_and_few_in_all() {
    let deadline = Duration::from_millis(300);
    let (_, plugin) = guarded(in_process(&example("hostile")), deadline).await;
    // It sleeps for half a minute, and so takes no processor from other tests.
    let hangs = async |dataset: &str| plan_for(&plugin, dataset, "late").await.unwrap_err();
    let late = hangs("first").await;
    assert!(late.message.contains("no answer within 0.3 s"), "{late:?}");
    assert!(plan(&plugin, "well").await.is_ok());
    sleep(late.again_in.unwrap()).await;
    let runs = hangs("first").await;
    assert_eq!(runs.reason, "PluginTimeout");
    assert!(
        runs.message
            .contains("2 times in a row: its last plan still runs"),
        "{runs:?}"
    );
    for another in ["second", "third"] {
        let _ = hangs(another).await;
        assert!(plan(&plugin, "well").await.is_ok(), "beside the {another}");
    }
    let _ = hangs("fourth").await;
    let spent = plan(&plugin, "well").await.unwrap_err();
    assert_eq!(spent.reason, "PluginUnavailable");
    for way_out in [
        "4 of its calls still run",
        "isolated",
        "restart the operator",
    ] {
        assert!(spent.message.contains(way_out), "{spent:?}");
    }
}
