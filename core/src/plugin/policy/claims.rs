//! Claims of a cache: new volumes of a class, which begin empty.

use serde_json::Value;

use super::refused;
use crate::plugin::PlanError;

/// Fields of a claim that choose a volume which is there already, or whose content comes from another claim.
const OF_OTHERS: [&str; 4] = ["dataSource", "dataSourceRef", "volumeName", "selector"];

/// Checks the `spec` of a claim.
pub(super) fn check(spec: &Value, shown: &str) -> Result<(), PlanError> {
    for key in OF_OTHERS {
        if let Some(found) = spec.get(key) {
            return Err(refused(format!(
                "{shown} has spec.{key} {found}; a cache's claim is a new volume of its storageClassName, without \
                 anything of others: leave it out"
            )));
        }
    }
    Ok(())
}
