//! Work that a plan asks of workers.

use super::refused;
use crate::{
    api::PLACEMENTS_MAX,
    labels::is_dns_subdomain,
    plugin::{CacheTask, CachingPlan, PlanError, Warm},
};

/// There is one kind of task, and one of a kind: a `warm` takes many paths.
const TASKS_MAX: usize = 1;
/// Prefixes of one task; each is listed on its own.
const PATHS_MAX: usize = 64;
/// Longest prefix, in bytes: that of a key (S3 user guide, "Creating object key names").
const PATH_BYTES_MAX: usize = 1024;

/// Checks what workers are asked to do, and the nodes that are said to hold data.
pub(super) fn check(plan: &CachingPlan) -> Result<(), PlanError> {
    let count = plan.tasks.len();
    if count > TASKS_MAX {
        return Err(refused(format!(
            "the plan has {count} tasks `warm`; {TASKS_MAX} is the most: give it all paths"
        )));
    }
    for (index, CacheTask::Warm(Warm { paths })) in plan.tasks.iter().enumerate() {
        if plan.origins.is_empty() {
            return Err(refused(format!(
                "tasks[{index}] warms a cache of which the plan says not yet where it answers: plan it together with \
                 `origins`"
            )));
        }
        let count = paths.len();
        if count > PATHS_MAX {
            return Err(refused(format!(
                "tasks[{index}] has {count} paths; {PATHS_MAX} are the most"
            )));
        }
        if let Some(path) = paths.iter().find(|path| path.len() > PATH_BYTES_MAX) {
            return Err(refused(format!(
                "tasks[{index}] has a path of {} bytes; keys have {PATH_BYTES_MAX} at most",
                path.len()
            )));
        }
    }
    if let Some(node) = plan.placements.iter().find(|node| !is_dns_subdomain(node)) {
        return Err(refused(format!(
            "the plan says that node {node:?} holds data, which no node can be called"
        )));
    }
    let count = plan.placements.len();
    if count > PLACEMENTS_MAX {
        return Err(refused(format!(
            "the plan names {count} nodes that hold data; name the {PLACEMENTS_MAX} that hold most"
        )));
    }
    Ok(())
}
