//! Churn: what came and went must not leave anything behind in what goes on running.

mod census;
mod churn;

use std::{env, time::Duration};

use dlf_tests::{eventually, on_our_own_cluster};

use crate::ours::leader;
use census::Census;

/// Minutes of the measured round.
const MINUTES: &str = "DLF_CHURN_MINUTES";
/// Where nobody says.
const MINUTES_DEFAULT: &str = "2";
/// Allocators, caches and pools have their size after this: as many Datasets at once as later.
const WARM_UP: Duration = Duration::from_secs(40);
/// Idle connections are kept for 90 s and idle threads for 10 s; the kubelet clears a pod's
/// directories within two minutes.
const SETTLED_WITHIN: Duration = Duration::from_mins(4);
/// Looks, a few seconds apart, that show the same before it counts as settled.
const SAME_LOOKS: usize = 6;

#[test]
fn churn_leaves_no_memory_descriptor_thread_watch_object_mount_or_directory_behind() {
    let test = "churn_leaves_no_memory_descriptor_thread_watch_object_mount_or_directory_behind";
    if !on_our_own_cluster(test, "it looks at the nodes' processes") {
        return;
    }
    let (length, leading) = (minutes(), leader());
    let warm = churn::round("warm-up", WARM_UP);
    println!("{warm}");
    let before = settled();
    let churned = churn::round("churn", length);
    println!("{churned}");
    let mut last = None;
    eventually("what grew to go", SETTLED_WITHIN, || {
        let after = Census::take();
        let grown = before.grown(&after);
        last = Some(after);
        if grown.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{churned}\n{}\ngrown: {grown:#?}",
            before.beside(last.as_ref().unwrap())
        ))
    });
    println!("{}", before.beside(&last.unwrap()));
    assert_eq!(leader(), leading, "another replica leads since");
}

/// A census that does not change any more, but for memory.
fn settled() -> Census {
    let (mut before, mut same) = (Census::take(), 0);
    eventually("the warm-up to settle", SETTLED_WITHIN, || {
        let now = Census::take();
        let changed = before.changed(&now);
        same = if changed.is_empty() { same + 1 } else { 0 };
        before = now;
        if same >= SAME_LOOKS {
            Ok(())
        } else {
            Err(format!("changed since the last look: {changed:?}"))
        }
    });
    before
}

fn minutes() -> Duration {
    let text = env::var(MINUTES).unwrap_or_else(|_| MINUTES_DEFAULT.to_owned());
    let asked = text.parse::<f64>().ok();
    let minutes = asked.filter(|minutes| (0.1..=24.0 * 60.0).contains(minutes));
    let minutes =
        minutes.unwrap_or_else(|| panic!("{MINUTES} is {text:?}: give minutes from 0.1 to 1440"));
    Duration::from_secs_f64(minutes * 60.0)
}
