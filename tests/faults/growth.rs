//! Churn: what came and went must not leave anything behind in what goes on running.

mod census;
mod churn;

use std::{env, time::Duration};

use dlf_tests::{eventually, is_long, nothing_is_left, on_our_own_cluster};

use crate::ours::leader;
use census::Census;

/// Minutes of the measured round, whatever its form.
const MINUTES: &str = "DLF_CHURN_MINUTES";
/// How long each round is.
struct Form {
    /// Allocators, caches and pools have their size after it: as many Datasets at once as later.
    warm_up: Duration,
    /// What is before it and after it is compared.
    measured: Duration,
}
/// How small a leak of memory each form shows, `Kind::Memory` says.
const LONG: Form = Form {
    warm_up: Duration::from_secs(40),
    measured: Duration::from_mins(10),
};
/// A batch in each lane, which are of every kind, and then at least another.
const SHORT: Form = Form {
    warm_up: Duration::from_secs(20),
    measured: Duration::from_mins(1),
};
/// Idle connections are kept for 90 s and idle threads for 10 s; the kubelet clears a pod's
/// directories within two minutes.
const SETTLED_WITHIN: Duration = Duration::from_mins(4);
/// Looks, about a second apart, that show the same before it counts as settled: more seconds than an idle
/// thread is kept.
const SAME_LOOKS: usize = 12;

#[test]
fn churn_leaves_no_memory_descriptor_thread_watch_object_mount_or_directory_behind() {
    if !on_our_own_cluster("it looks at the nodes' processes") {
        return;
    }
    nothing_is_left(); // what goes meanwhile is not counted as what churn left
    let (form, leading) = (if is_long() { LONG } else { SHORT }, leader());
    let length = minutes().unwrap_or(form.measured);
    let warm = churn::round("warm-up", form.warm_up);
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

/// If somebody says how many.
fn minutes() -> Option<Duration> {
    let text = env::var(MINUTES).ok()?;
    let asked = text.parse::<f64>().ok();
    let minutes = asked.filter(|minutes| (0.1..=24.0 * 60.0).contains(minutes));
    let minutes =
        minutes.unwrap_or_else(|| panic!("{MINUTES} is {text:?}: give minutes from 0.1 to 1440"));
    Some(Duration::from_secs_f64(minutes * 60.0))
}
