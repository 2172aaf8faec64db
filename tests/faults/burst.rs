//! More pods at once than the nodes can start.

use std::{fmt::Write, time::Duration};

use dlf_tests::{Namespace, Reader, eventually, pod};

const BURST: usize = 150;

/// Two nodes on two cores start two or three pods a second at best.
const BURST_WITHIN: Duration = Duration::from_mins(8);

#[test]
fn a_hundred_and_fifty_pods_at_once_all_get_their_data() {
    let reader = Reader::start("burst");
    let namespace = &reader.namespace;
    let script = "test \"$(cat /mnt/datasets/books/hello.txt)\" = hello";
    let mut pods = String::new();
    for number in 0..BURST {
        let _ = writeln!(
            pods,
            "{}---",
            pod(
                &format!("burst-{number}"),
                "dataset.0.id: books, app: burst",
                script,
                ""
            )
        );
    }
    let _ = namespace.apply(&pods).expect_ok();
    eventually("all to have read", BURST_WITHIN, || {
        let [ended, failed] = ["Succeeded", "Failed"].map(|phase| phase_count(namespace, phase));
        assert_eq!(failed, 0);
        if ended == BURST {
            Ok(())
        } else {
            Err(format!("{ended} have"))
        }
    });
    reader.goes_on();
    assert_eq!(reader.errors(), "");
}

fn phase_count(namespace: &Namespace, phase: &str) -> usize {
    let field = format!("status.phase={phase}");
    let listed = namespace.kubectl(&[
        "get",
        "pods",
        "-l",
        "app=burst",
        "--field-selector",
        &field,
        "-o",
        "name",
    ]);
    listed.expect_ok().lines().count()
}
