//! Plugins behind the carriers: good ones give the same plans everywhere, and hostile ones harm nobody.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{ffi::OsString, fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use dlf_core::plugin::CachingPlan;
use dlf_plugin_host::{
    carrier::{
        Channel, Guard, Library, Limits, NegotiationError, Process, Remote, Socket,
        library::LoadError,
    },
    metrics::Metrics,
};

use self::common::{HOST, example, from_c, plan};

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
        assert!(recovers(&plugin).await, "after {what}");
    }
}

#[tokio::test]
async fn an_isolated_plugin_is_refused_memory_before_its_container_is_and_floods_nobodys_log() {
    let process = Process::new(
        HOST.as_ref(),
        vec!["--library".into(), example("hostile").into()],
    )
    .unwrap();
    let process = process.contained(Some(200 << 20));
    let plugin = guarded(Arc::new(Socket::new(process)), Duration::from_secs(10)).await;
    let flooding = plan(&plugin, "log").await;
    assert!(flooding.is_ok(), "{flooding:?}");
    for what in ["leak", "huge"] {
        let dead = plan(&plugin, what).await.unwrap_err();
        assert_eq!(dead.reason, "PluginCrashed", "{what}: {dead:?}");
        assert!(dead.message.contains("SIGABRT"), "{what}: {dead:?}");
        assert!(recovers(&plugin).await, "after {what}");
    }
}

#[tokio::test]
async fn what_a_plugin_started_ends_with_it() {
    let mark = format!("{}/{}.so", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    fs::copy(example("hostile"), &mark).unwrap();
    // A shell that waits for the plugin, as the entry points of many images do.
    let script = r#""$0" --library "$1"; exit $?"#;
    let arguments = ["-c", script, HOST, &mark].map(OsString::from).to_vec();
    let process = Process::new("/bin/sh".as_ref(), arguments).unwrap();
    let socket = Arc::new(Socket::new(process.contained(None)));
    let plugin = guarded(socket, DEADLINE).await;
    let with_mark = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.map(|process| fs::read_to_string(process.path().join("cmdline")));
        lines.flatten().filter(|line| line.contains(&mark)).count()
    };
    assert_eq!(with_mark(), 2);
    assert_eq!(
        plan(&plugin, "loop").await.unwrap_err().reason,
        "PluginTimeout"
    );
    // The kernel takes a moment to end a process of a group that nobody waits for.
    for _ in 0..100 {
        if with_mark() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} of its processes are left", with_mark());
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
