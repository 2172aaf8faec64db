//! The mounters that come of other values.

use std::time::Duration;

use dlf_tests::{POD_WITHIN, eventually, kubectl};

/// The mounters, as kubectl names them: `daemonset.apps/NAME`.
pub(crate) fn mounters() -> Vec<String> {
    let label = "app.kubernetes.io/component=mounter";
    let listed = kubectl(&[
        "-n",
        "dlf-system",
        "get",
        "daemonset",
        "-l",
        label,
        "-o",
        "name",
    ]);
    listed.expect_ok().lines().map(str::to_owned).collect()
}

/// Waits until a mounter that was not there before runs on every node; gives its name.
pub(crate) fn new_mounter(before: &[String]) -> String {
    let new = eventually(
        "a mounter of the new revision",
        Duration::from_mins(1),
        || {
            let now = mounters();
            let new = now.iter().find(|name| !before.contains(name)).cloned();
            new.ok_or_else(|| now.join(", "))
        },
    );
    eventually("it to run on every node", POD_WITHIN, || {
        let path = "jsonpath={.status.numberReady} {.status.desiredNumberScheduled}";
        let counts = kubectl(&["-n", "dlf-system", "get", &new, "-o", path]).expect_ok();
        match counts.split_once(' ') {
            Some((ready, wanted)) if ready == wanted && ready != "0" => Ok(()),
            _ => Err(counts),
        }
    });
    new
}
