//! Pods of the check: one that reads once, one that reads all the time.

use kube::core::params::ListParams;
use serde_json::{Value, json};

use super::wait::Look;
use crate::cluster::{Cluster, Kind};

/// Name of the pod that reads all the time.
pub(super) const READER: &str = "reader";

/// Lists the dataset at `$ROOT` and reads its first file; says how large it is, whether it was written,
/// and which it is.
pub(super) const READ: &str = r#"set -eu
ls -A "$ROOT" > /dev/null
file=$(find "$ROOT" -type f -size +0c | head -n 1)
how=found
if [ -z "$file" ] && [ "$WRITE" = yes ]; then
  how=written file=$ROOT/dlf-check
  echo 'written by kubectl dlf plugin check' > "$file"
fi
if [ -z "$file" ]; then echo empty; exit 0; fi
size() { set -- $(ls -lLn "$1"); echo "$5"; }
whole=$(size "$file")
got=$(cat "$file" | wc -c)
if [ "$got" -ne "$whole" ]; then echo "$file has $whole bytes, of which $got were read"; exit 1; fi
echo "$((got)) $how $file""#;

/// Reads the first file anew five times a second, past the node's page cache where it can; counts.
const LOOP: &str = r#"set -u
file=$(find "$ROOT" -type f -size +0c | head -n 1)
how=iflag=direct
dd if="$file" of=/dev/null bs=1M count=1 $how 2> /dev/null || how=
rounds=0; failures=0; last=
while true; do
  if said=$(dd if="$file" of=/dev/null bs=1M count=8 $how 2>&1); then rounds=$((rounds+1))
  else failures=$((failures+1)); last=$(echo "$said" | head -n 1); fi
  echo "rounds $rounds failures $failures $last"
  sleep 0.2
done"#;

/// Takes away what was written.
pub(super) const REMOVE: &str = r#"rm -f "$ROOT/dlf-check""#;

/// A pod that has the dataset and runs a script.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pod<'a> {
    pub(super) name: &'a str,
    pub(super) dataset: &'a str,
    pub(super) root: &'a str,
    pub(super) image: &'a str,
    pub(super) write: bool,
}

impl Pod<'_> {
    /// The pod that reads all the time.
    pub(super) fn reader(self) -> Value {
        self.of(LOOP)
    }

    /// A pod that runs a script.
    pub(super) fn of(self, script: &str) -> Value {
        let env = |name: &str, value: &str| json!({ "name": name, "value": value });
        json!({
            "metadata": { "name": self.name, "labels": { "dataset.0.id": self.dataset } },
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 1,
                "automountServiceAccountToken": false,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 65534, "runAsGroup": 65534,
                    "seccompProfile": { "type": "RuntimeDefault" },
                },
                "containers": [{
                    "name": "main",
                    "image": self.image,
                    "command": ["sh", "-c", script],
                    "env": [env("ROOT", self.root), env("WRITE", if self.write { "yes" } else { "no" })],
                    "resources": { "requests": { "cpu": "10m", "memory": "16Mi" } },
                    "securityContext": {
                        "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
                    },
                }],
            },
        })
    }
}

/// Whether a pod is done: its log then; where it stands otherwise.
pub(super) async fn done(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Look<Result<String, String>> {
    let pod = cluster.get(Kind::POD, Some(namespace), name).await?;
    let pod = pod.unwrap_or_default();
    match pod["status"]["phase"].as_str() {
        Some("Succeeded") => Ok(Ok(Ok(cluster
            .log(namespace, name, 1)
            .await?
            .trim()
            .to_owned()))),
        Some("Failed") => {
            let log = cluster.log(namespace, name, 3).await?;
            let log = log.trim().replace('\n', "; ");
            let reason = pod["status"]["message"].as_str().unwrap_or(&log);
            Ok(Ok(Err(format!("pod {name} failed: {reason}"))))
        }
        _ => Ok(Err(standing(cluster, namespace, &pod, name).await)),
    }
}

/// Where a pod stands that does not run yet, and why.
pub(super) async fn standing(
    cluster: &Cluster,
    namespace: &str,
    pod: &Value,
    name: &str,
) -> String {
    let params = ListParams::default().fields(&format!("involvedObject.name={name},type=Warning"));
    let events = cluster.list(Kind::EVENT, Some(namespace), params).await;
    let events = events.unwrap_or_default();
    let warning = events.last().and_then(|event| event["message"].as_str());
    waiting(pod, name, warning)
}

fn waiting(pod: &Value, name: &str, warning: Option<&str>) -> String {
    let phase = pod["status"]["phase"].as_str().unwrap_or("not there");
    let state = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
    let conditions = pod["status"]["conditions"].as_array();
    let refused =
        |condition: &&Value| condition["type"] == "PodScheduled" && condition["status"] == "False";
    let unscheduled = conditions.into_iter().flatten().find(refused);
    let reasons = [
        state["reason"].as_str(),
        state["message"].as_str(),
        unscheduled.and_then(|condition| condition["message"].as_str()),
        warning,
    ];
    let reasons: Vec<&str> = reasons.into_iter().flatten().collect();
    if reasons.is_empty() {
        format!("pod {name} is {phase}")
    } else {
        format!("pod {name} is {phase}: {}", reasons.join(": "))
    }
}

/// What a pod read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) bytes: u64,
    /// Whether the file is the check's own: the bucket was empty.
    pub(super) written: bool,
    pub(super) file: String,
}

impl Reading {
    /// The last line of the log; none where there was nothing to read.
    pub(super) fn parse(log: &str) -> Option<Self> {
        let mut parts = log.splitn(3, ' ');
        Some(Self {
            bytes: parts.next()?.parse().ok()?,
            written: parts.next()? == "written",
            file: parts.next()?.to_owned(),
        })
    }
}

/// How far the pod that reads all the time is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rounds {
    /// Times it read.
    pub(super) done: u64,
    /// Times it could not.
    pub(super) failures: u64,
    /// What it saw then.
    pub(super) last: String,
}

impl Rounds {
    /// The last line of the reader's log.
    pub(super) fn parse(log: &str) -> Option<Self> {
        let line = log.trim().lines().next_back()?;
        let rest = line.strip_prefix("rounds ")?;
        let (done, rest) = rest.split_once(" failures ")?;
        let (failures, last) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(Self {
            done: done.parse().ok()?,
            failures: failures.parse().ok()?,
            last: last.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_counts() {
        let rounds = Rounds::parse("rounds 1 failures 0 \nrounds 2 failures 1 dd: x: I/O error\n");
        let rounds = rounds.unwrap();
        assert_eq!((rounds.done, rounds.failures), (2, 1));
        assert_eq!(rounds.last, "dd: x: I/O error");
        assert_eq!(Rounds::parse("rounds 7 failures 0 ").unwrap().done, 7);
        assert_eq!(Rounds::parse(""), None);
        assert_eq!(Rounds::parse("sh: dd: not found"), None);
    }

    #[test]
    fn a_file_that_was_there_is_nobody_elses_to_remove() {
        let read = Reading::parse("36 found /mnt/x/dlf-check").unwrap();
        assert_eq!((read.bytes, read.written), (36, false));
        let own = Reading::parse("36 written /mnt/x/a b").unwrap();
        assert!(own.written && own.file == "/mnt/x/a b");
        assert_eq!(Reading::parse("empty"), None);
    }

    #[test]
    fn a_pod_is_one_that_the_restricted_standard_lets_in() {
        let pod = Pod {
            name: "read-1",
            dataset: "check-1",
            root: "/mnt/x",
            image: "busybox",
            write: false,
        };
        let pod = pod.of(READ);
        assert_eq!(pod["metadata"]["labels"]["dataset.0.id"], "check-1");
        assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true);
        let container = &pod["spec"]["containers"][0];
        assert_eq!(
            container["securityContext"]["allowPrivilegeEscalation"],
            false
        );
        assert_eq!(container["env"][1]["value"], "no");
        let written = "$ROOT/dlf-check";
        assert!(READ.contains(written) && REMOVE.contains(written));
    }

    #[test]
    fn a_pod_that_waits_says_what_for() {
        let waiting_for =
            |status: Value| waiting(&json!({ "status": status }), "read-1", Some("no mount"));
        let image = json!({ "phase": "Pending", "containerStatuses": [{ "state": { "waiting": { "reason": "ErrImagePull" } } }] });
        assert_eq!(
            waiting_for(image),
            "pod read-1 is Pending: ErrImagePull: no mount"
        );
        assert_eq!(
            waiting(&Value::Null, "read-1", None),
            "pod read-1 is not there"
        );
    }
}
