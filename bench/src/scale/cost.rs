//! What the programs of the control plane cost.

use tokio::time::Instant;

use crate::{figures::mebibytes, process::Processes};

/// Processes whose cost is shown.
pub(super) struct Spending {
    began: Instant,
    of: [(&'static str, Processes); 3],
}

impl Spending {
    pub(super) fn begin() -> Self {
        let names = ["dlf-operator", "dlf-worker", "kube-apiserver"];
        Self {
            began: Instant::now(),
            of: names.map(|name| (name, Processes::of(name, None))),
        }
    }

    pub(super) fn spent(&self) -> String {
        let took = self.began.elapsed().as_secs_f64();
        let each = self.of.iter().map(|(name, processes)| {
            let spent = processes.spent().as_secs_f64();
            format!("{name} {spent:.0} s of CPU ({:.2})", spent / took)
        });
        each.collect::<Vec<_>>().join(", ")
    }
}

/// Memory of the largest process of each program.
pub(super) fn memory(when: &str) {
    let names = ["dlf-operator", "dlf-worker", "dlf-csi", "kube-apiserver"];
    let each = names.map(|name| {
        let largest = Processes::of(name, None).resident_max();
        format!("{name} {} MiB", mebibytes(largest))
    });
    println!("{when}: {} (the largest of each)", each.join(", "));
}
