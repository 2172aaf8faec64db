//! More pods at once than the nodes can start.

use std::{fmt::Write, time::Duration};

use dlf_tests::{Reader, eventually, is_long, pod};

/// Pods, and the time they have: two nodes on two cores start two or three a second at best, beside all else.
const LONG: (usize, Duration) = (150, Duration::from_mins(8));
/// Still more than the nodes start in ten seconds.
const SHORT: (usize, Duration) = (40, Duration::from_mins(3));

#[test]
fn pods_in_a_burst_all_get_their_data() {
    let (burst, within) = if is_long() { LONG } else { SHORT };
    let reader = Reader::start("burst");
    let namespace = &reader.namespace;
    let script = "test \"$(cat /mnt/datasets/books/hello.txt)\" = hello";
    let mut pods = String::new();
    for number in 0..burst {
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
    eventually("all to have read", within, || {
        let pods = namespace.list("pods", "app=burst");
        let in_phase = |phase: &str| {
            let those = pods.iter().filter(|pod| pod["status"]["phase"] == phase);
            those.count()
        };
        assert_eq!(in_phase("Failed"), 0);
        match in_phase("Succeeded") {
            ended if ended == burst => Ok(()),
            ended => Err(format!("{ended} of {burst} have")),
        }
    });
    reader.goes_on();
    assert_eq!(reader.errors(), "");
}
