//! Where reads go before the source: Services of the plan, pods that these give names, and nowhere else.

use super::{Planned, list, refused};
use crate::{
    plugin::{CacheOrigin, CachePlace, CachingPlan, PlanError},
    shards::{SHARD_BYTES_MIN, SHARDS_MAX},
};

/// Reads go from one to the next: each that cannot answer costs a read seconds.
pub(super) const ORIGINS_MAX: usize = 4;
/// Longest URL of a status endpoint: a host name of 253 bytes and a path.
const URL_BYTES_MAX: usize = 512;

/// Checks where a plan sends reads.
pub(super) fn check(
    plan: &CachingPlan,
    place: &CachePlace,
    planned: &[Planned<'_>],
) -> Result<(), PlanError> {
    let count = plan.origins.len();
    if count > ORIGINS_MAX {
        return Err(refused(format!(
            "the plan has {count} origins; {ORIGINS_MAX} are the most"
        )));
    }
    for origin in &plan.origins {
        endpoint(&origin.endpoint, place, planned)?;
        bounds(origin)?;
        for url in &origin.shards {
            shard(url, place, planned)?;
        }
    }
    Ok(())
}

/// Checks where replicas are asked how they do: as a shard, and with a path.
pub(super) fn status(
    plan: &CachingPlan,
    place: &CachePlace,
    planned: &[Planned<'_>],
) -> Result<(), PlanError> {
    let count = plan.status_endpoints.len();
    if count > SHARDS_MAX {
        return Err(refused(format!(
            "the plan has {count} status endpoints; {SHARDS_MAX} are the most"
        )));
    }
    for url in &plan.status_endpoints {
        let path = url.strip_prefix("http://").and_then(|rest| rest.find('/'));
        let host = path.map_or(url.as_str(), |at| &url[.."http://".len() + at]);
        let graphic = url.bytes().all(|byte| byte.is_ascii_graphic());
        if !graphic || url.len() > URL_BYTES_MAX {
            return Err(refused(format!(
                "status endpoint {url:?} is no URL of at most {URL_BYTES_MAX} characters of ASCII"
            )));
        }
        shard(host, place, planned)?;
    }
    Ok(())
}

fn endpoint(url: &str, place: &CachePlace, planned: &[Planned<'_>]) -> Result<(), PlanError> {
    let led = split(url, place).and_then(|(host, port)| Some((service(host, planned)?, port)));
    let Some((service, port)) = led else {
        return Err(refused(format!(
            "reads would go to {url:?}; an origin is http://NAME.{}.svc:PORT of a Service of the plan",
            place.namespace
        )));
    };
    has_port(service, port, url)
}

fn bounds(origin: &CacheOrigin) -> Result<(), PlanError> {
    let (count, unit) = (origin.shards.len(), origin.shard_bytes);
    if count > SHARDS_MAX {
        return Err(refused(format!(
            "{} has {count} shards; {SHARDS_MAX} are the most",
            origin.endpoint
        )));
    }
    if unit != 0 && unit < SHARD_BYTES_MIN {
        return Err(refused(format!(
            "{} has shardBytes {unit}; units have {SHARD_BYTES_MIN} bytes at least, and 0 keeps objects in one piece",
            origin.endpoint
        )));
    }
    Ok(())
}

/// A shard is a Service, or a pod that a Service gives a name.
fn shard(url: &str, place: &CachePlace, planned: &[Planned<'_>]) -> Result<(), PlanError> {
    let led = split(url, place).and_then(|(host, port)| {
        let name = match host.split_once('.') {
            Some((pod, name)) => place.owns(pod).then_some(name)?,
            None => host,
        };
        Some((service(name, planned)?, port))
    });
    let Some((service, port)) = led else {
        return Err(refused(format!(
            "the plan names {url:?}; a shard or a status endpoint is at http://POD.NAME.{0}.svc:PORT of a pod that Service NAME of the \
             plan gives a name, or http://NAME.{0}.svc:PORT",
            place.namespace
        )));
    };
    has_port(service, port, url)
}

/// Host, without the namespace of caches, and port of a URL that has nothing else.
fn split<'a>(url: &'a str, place: &CachePlace) -> Option<(&'a str, u16)> {
    let host = url.strip_prefix("http://")?.trim_end_matches('/');
    let (host, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    let host = host.strip_suffix(format!(".{}.svc", place.namespace).as_str())?;
    Some((host, port.parse().ok()?))
}

fn service<'a>(name: &str, planned: &'a [Planned<'a>]) -> Option<&'a Planned<'a>> {
    let mut services = planned.iter().filter(|one| one.kind == "Service");
    services.find(|one| one.object["metadata"]["name"] == name)
}

fn has_port(service: &Planned<'_>, port: u16, url: &str) -> Result<(), PlanError> {
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
