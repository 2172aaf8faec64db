//! Where reads go first: a Service of the plan, and nowhere else.

use super::{Planned, list, refused};
use crate::plugin::{CachePlace, CachingPlan, PlanError};

/// Checks where a plan sends reads.
pub(super) fn check(
    plan: &CachingPlan,
    place: &CachePlace,
    planned: &[Planned<'_>],
) -> Result<(), PlanError> {
    let mut origins = plan.origin.iter();
    origins.try_for_each(|origin| endpoint(&origin.endpoint, place, planned))
}

fn endpoint(url: &str, place: &CachePlace, planned: &[Planned<'_>]) -> Result<(), PlanError> {
    let led = url.strip_prefix("http://").and_then(|rest| {
        let host = rest.trim_end_matches('/');
        let (host, port) = host.rsplit_once(':').unwrap_or((host, "80"));
        let name = host.strip_suffix(&format!(".{}.svc", place.namespace))?;
        let port = port.parse::<u16>().ok()?;
        let service = planned
            .iter()
            .find(|one| one.kind == "Service" && one.object["metadata"]["name"] == name)?;
        Some((service, port))
    });
    let Some((service, port)) = led else {
        return Err(refused(format!(
            "reads would go to {url:?}; an origin is http://NAME.{}.svc:PORT of a Service of the plan",
            place.namespace
        )));
    };
    let ports = || list(&service.object["spec"]["ports"]).map(|one| &one["port"]);
    if ports().any(|known| *known == port) {
        return Ok(());
    }
    let known = ports().map(ToString::to_string).collect::<Vec<_>>();
    Err(refused(format!(
        "reads would go to {url:?}, and {} has no port {port}; it has {}",
        service.shown,
        if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        }
    )))
}
