//! A child's question on its way to a driver, and the answer on its way back.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use dlf_wire::mounter::v1::{Start, Told, Usage};
use rustix::process::geteuid;
use tempfile::TempDir;

use super::*;
use crate::mounter::MounterOptions;
use crate::node::endings::{Ending, Endings};

/// What the child asks for, if this program is one.
const THREAD: &str = "DLF_TEST_THREAD";

/// A mounter whose child asks how `thread` ends, under another mount's name, and reports the signal
/// as bytes that it read.
fn mounter(thread: u32) -> (TempDir, Arc<Children>) {
    let directory = tempfile::tempdir().unwrap();
    // Children are not root, and the build directory may be root's alone.
    let copy = directory.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let program = directory.path().join("child");
    let script = format!(
        "#!/bin/sh\n{THREAD}={thread} exec {} --exact {}::asks_when_it_is_a_child\n",
        copy.display(),
        module_path!().split_once("::").unwrap().1
    );
    fs::write(&program, script).unwrap();
    for path in [directory.path(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let options = MounterOptions {
        socket_dir: PathBuf::new(),
        staging_dir: PathBuf::from("/nonexistent"),
        revision: "test".to_owned(),
    };
    (directory, Arc::new(Children::new(program, options)))
}

#[tokio::test]
async fn asks_when_it_is_a_child() {
    let Ok(thread) = std::env::var(THREAD) else {
        return;
    };
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let channel = Arc::new(Channel::from_socket(socket).unwrap());
    let start = channel.recv::<ToMounter>().await.unwrap().0;
    let done = from_mounter::Message::Done(wire::Done::default());
    channel
        .send(&message(start.request, done), None)
        .await
        .unwrap();
    let endings = Endings::new("another".to_owned(), channel.clone());
    let listening = async {
        while let Ok((message, _)) = channel.recv::<ToMounter>().await {
            if let Some(to_mounter::Message::Told(answer)) = message.message {
                endings.answer(&answer);
            }
        }
    };
    let asking = async {
        let bytes_read = match endings.of(thread.parse().unwrap()).await {
            Ending::Alive => 0,
            Ending::Signal(signal) => u64::from(signal),
        };
        let usage = from_mounter::Message::Usage(Usage {
            bytes_read,
            ..Usage::default()
        });
        channel.send(&message(0, usage), None).await.unwrap();
    };
    // Until the mounter has gone.
    tokio::join!(listening, asking);
}

fn start() -> Start {
    Start {
        mount_id: "m".to_owned(),
        ..Start::default()
    }
}

/// What the child found.
async fn signal(events: &mut tokio::sync::broadcast::Receiver<from_mounter::Message>) -> u64 {
    loop {
        if let from_mounter::Message::Usage(usage) = events.recv().await.unwrap() {
            return usage.bytes_read;
        }
    }
}

fn skipped(test: &str) -> bool {
    if !geteuid().is_root() {
        println!("SKIPPED {test}: it is not root, and cannot give a child a uid");
    }
    !geteuid().is_root()
}

#[tokio::test]
async fn the_driver_answers_the_child_that_asked_whatever_it_calls_itself() {
    if skipped("the_driver_answers_the_child_that_asked_whatever_it_calls_itself") {
        return;
    }
    let (_directory, children) = mounter(4242);
    let mut events = children.subscribe();
    let (driver, served) = Channel::pair().unwrap();
    tokio::spawn(serve(served, children.clone()));
    let request = ToMounter {
        request: 1,
        message: Some(to_mounter::Message::Start(start())),
    };
    let device = File::open("/dev/null").unwrap();
    driver.send(&request, Some(device.as_fd())).await.unwrap();
    let ask = loop {
        let (message, _) = driver.recv::<FromMounter>().await.unwrap();
        if let Some(from_mounter::Message::Ask(ask)) = message.message {
            assert_eq!(message.request, 0);
            break ask;
        }
    };
    assert_eq!((ask.mount_id.as_str(), ask.thread), ("m", 4242));
    for (mount_id, exit_code) in [("another", 1), ("m", 9)] {
        let answer = Told {
            mount_id: mount_id.to_owned(),
            question: ask.question,
            exit_code: Some(exit_code),
        };
        let answer = ToMounter {
            request: 0,
            message: Some(to_mounter::Message::Told(answer)),
        };
        driver.send(&answer, None).await.unwrap();
    }
    assert_eq!(signal(&mut events).await, 9);
}

#[tokio::test]
async fn without_a_driver_the_answer_is_that_nobody_knows() {
    if skipped("without_a_driver_the_answer_is_that_nobody_knows") {
        return;
    }
    let (_directory, children) = mounter(4242);
    let mut events = children.subscribe();
    let device = File::open("/dev/null").unwrap();
    children.start(start(), device.into()).await.unwrap();
    assert_eq!(signal(&mut events).await, 0);
}
