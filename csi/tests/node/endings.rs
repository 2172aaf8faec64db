//! Who closed a file: a program that meant it, or the kernel after the program was killed.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dlf_wire::mounter::v1::{Ask, Told};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, waitid};

use crate::csi::{fuse, request};
use crate::mounter::Mounter;
use crate::node_or_skip;

const FILE: &str = "DLF_TEST_HELD_FILE";
const END: &str = "DLF_TEST_END";

/// Starts this program again, to open `file` and end like this. It has several threads, and the one
/// that opens the file is not its first.
fn spawn(file: &Path, end: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "endings::holds_a_file_and_ends_when_it_is_told_to",
        ])
        .env(FILE, file)
        .env(END, end)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn holds_a_file_and_ends_when_it_is_told_to() {
    let Some(path) = std::env::var_os(FILE) else {
        return;
    };
    let file = File::open(path).unwrap();
    for _ in 0..3 {
        std::thread::spawn(std::thread::park);
    }
    match &*std::env::var(END).unwrap() {
        "close" => drop(file),
        "exit" => std::process::exit(3),
        "kill" => kill_process(getpid(), Signal::KILL).unwrap(),
        "term" => kill_process(getpid(), Signal::TERM).unwrap(),
        other => panic!("it cannot {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_after_a_kill_is_told_from_one_that_was_meant() {
    let node = node_or_skip!("a_close_after_a_kill_is_told_from_one_that_was_meant");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    let closes = node.scratch("closes");
    let (thread, go) = (closes.join("thread"), closes.join("go"));
    mknodat(CWD, &go, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    mounter.watch_closes(closes);
    node.operator.grant(fuse("dlf-1", 1, "s"));
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    for (question, (end, signal, ended)) in [
        ("close", 0, Some(0)),
        ("exit", 0, Some(3)),
        ("kill", 9, None),
        ("term", 15, None),
    ]
    .into_iter()
    .enumerate()
    {
        let question = 1 + question as u64;
        let mut holder = spawn(&target.join("whoami"), end);
        let closing = node
            .wait("the close", || std::fs::read_to_string(&thread).ok())
            .await;
        mounter.ask(Ask {
            mount_id: "m".into(),
            question,
            thread: closing.parse().unwrap(),
        });
        let answer = node.wait("the answer", || mounter.answer(question)).await;
        assert_eq!(
            (&*answer.mount_id, answer.exit_code),
            ("m", Some(signal)),
            "{end}"
        );
        std::fs::remove_file(&thread).unwrap();
        // The file system goes on.
        std::fs::write(&go, "").unwrap();
        let status = holder.wait().unwrap();
        assert_eq!(status.code(), ended, "{end}: {status}");
        let by = (signal != 0).then(|| i32::try_from(signal).unwrap());
        assert_eq!(status.signal(), by, "{end}");
    }
    node.unpublish("dlf-1", &target).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_thread_is_asked_for_no_more_is_told_than_the_signal_that_ends_it() {
    let node =
        node_or_skip!("whichever_thread_is_asked_for_no_more_is_told_than_the_signal_that_ends_it");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    // Until the driver listens, nobody can be asked.
    node.operator.grant(fuse("dlf-1", 1, "s"));
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    let mut ended = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
    let pid = Pid::from_child(&ended);
    // It has ended, and its entry in /proc stays until it is waited for.
    waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
    )
    .unwrap();
    // Its exit status is its parent's business. The others are the node's first process and a test's own.
    for (question, thread) in [(1, ended.id()), (2, 1), (3, std::process::id())] {
        mounter.ask(Ask {
            mount_id: "m".into(),
            question,
            thread,
        });
        let answer = node.wait("the answer", || mounter.answer(question)).await;
        let alive = Told {
            mount_id: "m".into(),
            question,
            exit_code: Some(0),
        };
        assert_eq!(answer, alive, "{thread}");
    }
    ended.wait().unwrap();
    node.unpublish("dlf-1", &target).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thread_that_is_not_there_nothing_is_told() {
    let node = node_or_skip!("of_a_thread_that_is_not_there_nothing_is_told");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    // Until the driver listens, nobody can be asked.
    node.operator.grant(fuse("dlf-1", 1, "s"));
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    for (question, thread, exit_code) in [
        (1, 0, None),
        (2, u32::MAX, None),
        (3, node.driver_pid(), Some(0)),
    ] {
        mounter.ask(Ask {
            mount_id: "m".into(),
            question,
            thread,
        });
        let answer = node.wait("the answer", || mounter.answer(question)).await;
        assert_eq!(answer.exit_code, exit_code, "{thread}");
    }
    node.unpublish("dlf-1", &target).await.unwrap();
}
