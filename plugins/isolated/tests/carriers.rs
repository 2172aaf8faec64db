//! Plugins behind the carriers: good ones give the same plans everywhere, and hostile ones harm nobody.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use dlf_core::plugin::{CachingPlan, CachingPlugin, CachingRequest, PlanError};
use dlf_plugin_host::{
    carrier::{
        Channel, Guard, Library, Limits, NegotiationError, Process, Remote, Socket,
        library::LoadError,
    },
    metrics::Metrics,
};
use serde_json::json;

/// The program that runs plugins.
const HOST: &str = env!("CARGO_BIN_EXE_dlf-plugin-host");

/// A shared library that cargo built as an example of this crate.
fn example(name: &str) -> PathBuf {
    let built = Path::new(HOST).parent().unwrap();
    built.join(format!("examples/lib{name}.so"))
}

/// The plugin in C, by the system's compiler, with these macros.
fn from_c(name: &str, macros: &[&str]) -> PathBuf {
    let root = Path::new(".");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.so"));
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&library)
        .args(macros)
        .arg("-I")
        .arg(root.join("../abi/include"))
        .arg(root.join("tests/plugin.c"))
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    library
}

/// In a process of its own.
fn isolated(library: &Path) -> Arc<dyn Channel> {
    let arguments: Vec<OsString> = vec!["--library".into(), library.into()];
    Arc::new(Socket::new(Process::new(HOST.as_ref(), arguments).unwrap()))
}

/// In this one.
fn in_process(library: &Path) -> Arc<dyn Channel> {
    Arc::new(Library::load(library, None).unwrap())
}

async fn guarded(channel: Arc<dyn Channel>, deadline: Duration) -> Remote {
    let limits = Limits {
        deadline,
        failures: 100,
        ..Limits::default()
    };
    let guard = Guard::new("under-test", channel, limits, Metrics::default());
    Remote::meet(Arc::new(guard)).await.unwrap()
}

fn request(what: &str) -> CachingRequest {
    serde_json::from_value(json!({
        "dataset": { "namespace": "ns", "name": "books", "uid": "u", "labels": {} },
        "source": {
            "endpoint": "http://s3", "bucket": "books", "prefix": "", "region": "",
            "keys": { "from": "anonymous" }, "caSecret": null,
            "readonly": false, "provision": false, "removeOnDelete": false,
        },
        "decision": { "capacityBytes": 1, "replicas": 1, "medium": "Disk", "revalidateMs": null },
        "place": { "namespace": "dlf-caches", "name": "c-u", "labels": {} },
        "intent": "exist",
        "observed": { "objects": [] },
        "config": { "do": what },
    }))
    .unwrap()
}

async fn plan(plugin: &Remote, what: &str) -> Result<CachingPlan, PlanError> {
    CachingPlugin::plan(plugin, &request(what)).await
}

const DEADLINE: Duration = Duration::from_secs(2);

/// Whether it plans again. It may answer, and die of that answer while it has the next call.
async fn recovers(plugin: &Remote) -> bool {
    plan(plugin, "well").await.is_ok() || plan(plugin, "well").await.is_ok()
}

#[tokio::test]
async fn a_plugin_of_another_compiler_works_under_both_carriers() {
    let library = from_c("good", &[]);
    for channel in [in_process(&library), isolated(&library)] {
        let plugin = guarded(channel, DEADLINE).await;
        assert_eq!(plugin.info().name, "from-c");
        assert_eq!(plan(&plugin, "well").await, Ok(CachingPlan::default()));
    }
}

#[tokio::test]
async fn answers_that_come_twice_never_anywhere_or_as_garbage_are_named_and_harm_nobody() {
    let library = from_c("wild", &[]);
    for channel in [in_process(&library), isolated(&library)] {
        let plugin = guarded(channel, DEADLINE).await;
        for (what, expected) in [
            ("twice", None),
            ("wild", None),
            ("never", Some("PluginTimeout")),
            ("garbage", Some("PluginGarbage")),
            ("wrong-type", Some("PluginGarbage")),
            ("empty", Some("PluginGarbage")),
            ("huge", Some("PluginGarbage")),
        ] {
            let outcome = plan(&plugin, what).await;
            let reason = outcome.as_ref().err().map(|error| error.reason.as_str());
            assert_eq!(reason, expected, "{what}: {outcome:?}");
            assert!(plan(&plugin, "well").await.is_ok(), "after {what}");
        }
    }
}

#[tokio::test]
async fn an_isolated_plugin_that_dies_or_hangs_is_named_and_started_anew() {
    let plugin = guarded(isolated(&example("hostile")), DEADLINE).await;
    for (what, expected) in [
        ("panic", "PluginPanicked"),
        ("abort", "PluginCrashed"),
        ("segfault", "PluginCrashed"),
        ("exit", "PluginCrashed"),
        ("deep", "Plugin"),
        ("late", "PluginTimeout"),
    ] {
        let error = plan(&plugin, what).await.unwrap_err();
        assert!(error.reason.starts_with(expected), "{what}: {error:?}");
        if what != "late" {
            assert!(recovers(&plugin).await, "after {what}");
        }
    }
}

#[tokio::test]
async fn an_isolated_plugin_that_loops_for_ever_is_ended_and_started_anew() {
    let limits = Limits {
        deadline: Duration::from_secs(1),
        failures: 2,
        pause: Duration::from_millis(100),
        ..Limits::default()
    };
    let channel = isolated(&example("hostile"));
    let guard = Guard::new("under-test", channel, limits, Metrics::default());
    let plugin = Remote::meet(Arc::new(guard)).await.unwrap();
    for _ in 0..2 {
        let late = plan(&plugin, "loop").await.unwrap_err();
        assert_eq!(late.reason, "PluginTimeout");
    }
    let left_alone = plan(&plugin, "well").await.unwrap_err();
    assert_eq!(left_alone.reason, "PluginUnavailable");
    assert!(
        left_alone.message.contains("no answer within"),
        "{left_alone:?}"
    );
    for _ in 0..20 {
        tokio::time::sleep(limits.pause).await; // what the breaker waits
        if plan(&plugin, "well").await.is_ok() {
            return;
        }
    }
    panic!("it was not started anew");
}

#[tokio::test]
async fn an_isolated_plugin_that_takes_all_memory_or_floods_the_log_harms_nobody() {
    // As a container's limit does, this ends who takes more.
    let script = "ulimit -v 1000000; exec \"$0\" \"$@\" 2>/dev/null";
    let library = example("hostile");
    let arguments = ["-c", script, HOST, "--library", library.to_str().unwrap()];
    let arguments = arguments.map(OsString::from).to_vec();
    let process = Process::new("/bin/sh".as_ref(), arguments).unwrap();
    let plugin = guarded(Arc::new(Socket::new(process)), Duration::from_secs(10)).await;
    let flooding = plan(&plugin, "log").await;
    assert!(flooding.is_ok(), "{flooding:?}");
    let dead = plan(&plugin, "leak").await.unwrap_err();
    assert_eq!(dead.reason, "PluginCrashed", "{dead:?}");
    assert!(recovers(&plugin).await);
}

#[tokio::test]
async fn a_plugin_in_this_process_may_panic_and_be_late() {
    let plugin = guarded(in_process(&example("hostile")), DEADLINE).await;
    let panicked = plan(&plugin, "panic").await.unwrap_err();
    assert_eq!(panicked.reason, "PluginPanicked");
    assert!(plan(&plugin, "well").await.is_ok());
    let late = plan(&plugin, "late").await.unwrap_err();
    assert_eq!(late.reason, "PluginTimeout");
}

#[tokio::test]
async fn a_library_that_is_not_what_it_should_be_is_refused_with_the_way_out() {
    let good = from_c("checked", &[]);
    let refused = |path: &Path, sha256: Option<&str>| match Library::load(path, sha256) {
        Ok(_) => panic!("{} was loaded", path.display()),
        Err(error) => error,
    };
    let relative = refused(Path::new("libx.so"), None).to_string();
    assert!(relative.contains("absolute path"), "{relative}");
    let missing = refused(Path::new("/nowhere/libx.so"), None).to_string();
    assert!(missing.contains("/nowhere/libx.so"), "{missing}");
    let wrong = refused(&good, Some(&"0".repeat(64))).to_string();
    assert!(
        wrong.contains("SHA-256") && wrong.contains("sha256"),
        "{wrong}"
    );

    let open = good.with_file_name("open.so");
    fs::copy(&good, &open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let writable = refused(&open, None).to_string();
    assert!(writable.contains("chmod go-w"), "{writable}");

    let text = good.with_file_name("text.so");
    fs::write(&text, "no library").unwrap();
    fs::set_permissions(&text, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(refused(&text, None), LoadError::Loader { .. }));

    let nothing = refused(
        &from_c(
            "nothing",
            &["-DENTRY=dlf_plugin_v0", "-Wno-missing-prototypes"],
        ),
        None,
    )
    .to_string();
    assert!(
        nothing.contains("dlf_plugin_v1") && nothing.contains("ABI major 1"),
        "{nothing}"
    );
    let newer = refused(&from_c("newer", &["-DMAJOR=2"]), None).to_string();
    assert!(newer.contains("ABI major 2"), "{newer}");
    let short = refused(&from_c("short", &["-DSIZE=24"]), None).to_string();
    assert!(short.contains("shorter"), "{short}");
}

#[tokio::test]
async fn a_program_that_does_not_speak_is_named() {
    for (program, arguments, expected) in [
        ("/nowhere/plugin", vec![], "cannot be started"),
        (
            "/bin/sh",
            vec!["-c".into(), "exit 3".into()],
            "exit status: 3",
        ),
    ] {
        let process = Process::new(program.as_ref(), arguments).unwrap();
        let met = Remote::meet(Arc::new(Socket::new(process))).await;
        let Err(NegotiationError::Silent(fault)) = met else {
            panic!("{program} said who it is");
        };
        assert!(fault.to_string().contains(expected), "{fault}");
    }
}
