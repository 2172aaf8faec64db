use std::time::Duration;

use crate::settings;

/// How long a pod may take to run: image there, two nodes, two cores shared by everything.
pub const POD_WITHIN: Duration = Duration::from_secs(90);

/// The plural of Datasets, with the group that tests use: both groups have this plural.
pub const DATASETS: &str = "datasets.com.ie.ibm.hpsys";

/// A Dataset with these keys of `spec.local`. Further lines of its spec can be added at the end.
#[must_use]
pub fn source(name: &str, local: &str) -> String {
    format!(
        "apiVersion: com.ie.ibm.hpsys/v1alpha1\nkind: Dataset\nmetadata:\n  name: {name}\nspec:\n  local: {{{local}}}\n"
    )
}

/// A Dataset of a bucket with the test cluster's keys and `more` keys of `spec.local`.
#[must_use]
pub fn dataset(name: &str, bucket: &str, more: &str) -> String {
    let settings = settings();
    let local = format!(
        "type: COS, endpoint: \"{}\", bucket: \"{bucket}\", region: \"\", accessKeyID: \"{}\", secretAccessKey: \"{}\"{more}",
        settings.get("S3_ENDPOINT"),
        settings.get("S3_KEY"),
        settings.get("S3_SECRET"),
    );
    source(name, &local)
}

/// A Dataset of a bucket whose keys are in a Secret.
#[must_use]
pub fn dataset_with_secret(name: &str, bucket: &str, secret: &str) -> String {
    let endpoint = settings().get("S3_ENDPOINT");
    source(
        name,
        &format!(
            "type: COS, endpoint: \"{endpoint}\", bucket: \"{bucket}\", secret-name: {secret}"
        ),
    )
}

/// A Secret with keys of an object store. Further lines of its `stringData` can be added at the end.
#[must_use]
pub fn keys(name: &str, key: &str, secret: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n  accessKeyID: \"{key}\"\n  \
         secretAccessKey: \"{secret}\"\n"
    )
}

/// A pod with these labels that runs a script; `more` is added to its spec.
#[must_use]
pub fn pod(name: &str, labels: &str, script: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  labels: {{{labels}}}\nspec:\n  restartPolicy: Never\n  \
         terminationGracePeriodSeconds: 1\n{more}  containers:\n  - name: main\n    image: {}\n    command: [sh, -euc, '{}']\n",
        settings().get("TEST_IMAGE"),
        script.replace('\'', "''"),
    )
}

/// A script that does nothing until it is told to end.
pub const SLEEP: &str = "trap \"exit 0\" TERM; while true; do sleep 1; done";

/// A function for the beginning of a pod's script: `refused COMMAND...` ends the script if the command succeeds.
/// (`! COMMAND` does not: what begins with `!` never ends a script.)
pub const REFUSED: &str =
    "refused() { if \"$@\" 2> /dev/null; then echo \"not refused: $*\"; exit 1; fi; }; ";
