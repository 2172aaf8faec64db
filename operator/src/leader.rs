//! One leader among the replicas, by a Lease.
//!
//! Times are never compared between machines: a Lease counts as abandoned when *this* replica has
//! seen it unchanged for its whole duration, by its own monotonic clock. A leader that cannot renew
//! steps down before another can have seen that much. (`kube-lease-manager` compares wall clocks
//! and goes on leading while its renewals fail.)

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

/// Name of the Lease.
const LEASE: &str = "dlf-operator";
/// A leader that dies without releasing is replaced after this long.
const DURATION: Duration = Duration::from_secs(15);
/// How often a leader renews and the others look.
const INTERVAL: Duration = Duration::from_secs(3);
/// A question to the API server is given up after this long.
const REQUEST_DEADLINE: Duration = Duration::from_secs(3);
/// A leader whose last renewal began this long ago steps down. It looks once an interval and a
/// request deadline, so that it has stepped down before [`DURATION`] is over.
const RENEW_DEADLINE: Duration = Duration::from_secs(8);

/// Contends for the Lease, and says on the channel whether this replica leads, until `stop`
/// resolves; then hands the Lease over at once, so that the next leader need not wait.
pub async fn contend(
    client: Client,
    namespace: String,
    identity: String,
    leading: watch::Sender<bool>,
    stop: impl Future<Output = ()>,
) {
    let api = Api::namespaced(client, &namespace);
    let mut candidate = Candidate { identity, seen: None };
    tokio::select! {
        () = contend_forever(&api, &mut candidate, &leading) => {}
        () = stop => {}
    }
    if leading.send_replace(false) {
        match timeout(REQUEST_DEADLINE, release(&api, &candidate.identity)).await {
            Ok(Ok(())) => info!("released the lease"),
            Ok(Err(error)) => warn!(%error, "the lease was not released and will run out"),
            Err(_) => warn!("the lease was not released in time and will run out"),
        }
    }
}

async fn contend_forever(api: &Api<Lease>, candidate: &mut Candidate, leading: &watch::Sender<bool>) {
    let mut renewed = Instant::now();
    loop {
        let began = Instant::now();
        let leads = match timeout(REQUEST_DEADLINE, attempt(api, candidate)).await {
            Ok(Ok(leads)) => {
                renewed = began;
                leads
            }
            failed => {
                warn!(cause = %cause(failed), "the lease could not be looked at");
                *leading.borrow() && renewed.elapsed() < RENEW_DEADLINE
            }
        };
        if leading.send_if_modified(|before| std::mem::replace(before, leads) != leads) {
            info!(leads, "leadership changed");
        }
        sleep(INTERVAL).await;
    }
}

fn cause<T>(failed: Result<Result<T, kube::Error>, tokio::time::error::Elapsed>) -> String {
    match failed {
        Ok(Err(error)) => error.to_string(),
        _ => "no answer in time".to_owned(),
    }
}

/// Looks at the Lease and takes or renews it where that is right; true when it is ours.
async fn attempt(api: &Api<Lease>, candidate: &mut Candidate) -> Result<bool, kube::Error> {
    let written = match api.get_opt(LEASE).await? {
        None => api.create(&PostParams::default(), &candidate.claim(None)).await,
        Some(lease) => match candidate.step(&lease, Instant::now()) {
            Step::Wait => return Ok(false),
            Step::Claim => {
                let claim = candidate.claim(Some(&lease));
                api.replace(LEASE, &PostParams::default(), &claim).await
            }
        },
    };
    match written {
        Ok(_) => Ok(true),
        // Another was faster. A leader that sees this finds out whose it is at the next look.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

async fn release(api: &Api<Lease>, identity: &str) -> Result<(), kube::Error> {
    let Some(mut lease) = api.get_opt(LEASE).await? else { return Ok(()) };
    if let Some(spec) = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_deref() == Some(identity)) {
        spec.holder_identity = None;
        api.replace(LEASE, &PostParams::default(), &lease).await?;
    }
    Ok(())
}

/// One replica, and what it has seen of the Lease.
#[derive(Debug)]
struct Candidate {
    identity: String,
    /// The Lease's version, and when it was first seen.
    seen: Option<(String, Instant)>,
}

/// What is right to do about the Lease.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It is another's.
    Wait,
    /// It is ours, free or abandoned.
    Claim,
}

impl Candidate {
    fn step(&mut self, lease: &Lease, now: Instant) -> Step {
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            return Step::Claim;
        }
        let version = lease.metadata.resource_version.as_deref().unwrap_or_default();
        match &self.seen {
            Some((seen, since)) if seen == version => {
                if now.duration_since(*since) >= DURATION { Step::Claim } else { Step::Wait }
            }
            _ => {
                self.seen = Some((version.to_owned(), now));
                Step::Wait
            }
        }
    }

    /// The Lease as this replica's. It replaces that very version and no other.
    fn claim(&self, before: Option<&Lease>) -> Lease {
        let now = Some(MicroTime(Timestamp::now()));
        let spec = before.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let is_ours = spec.holder_identity.as_deref() == Some(self.identity.as_str());
        let transitions = spec.lease_transitions.unwrap_or_default();
        let metadata = ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() };
        Lease {
            metadata: before.map_or(metadata, |lease| lease.metadata.clone()),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                lease_transitions: Some(if is_ours { transitions } else { transitions.saturating_add(1) }),
                acquire_time: if is_ours { spec.acquire_time } else { now.clone() },
                renew_time: now,
                ..LeaseSpec::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(identity: &str) -> Candidate {
        Candidate { identity: identity.to_owned(), seen: None }
    }

    fn versioned(mut lease: Lease, version: &str) -> Lease {
        lease.metadata.resource_version = Some(version.to_owned());
        lease
    }

    #[test]
    fn a_leader_steps_down_before_another_may_follow() {
        assert!(RENEW_DEADLINE + INTERVAL + REQUEST_DEADLINE < DURATION);
    }

    #[test]
    fn a_lease_is_taken_when_it_was_seen_unchanged_for_its_duration() {
        let (a, mut b) = (candidate("a"), candidate("b"));
        let lease = versioned(a.claim(None), "1");
        let start = Instant::now();
        assert_eq!(b.step(&lease, start), Step::Wait);
        assert_eq!(b.step(&lease, start + DURATION / 2), Step::Wait);
        let renewed = versioned(a.claim(Some(&lease)), "2");
        assert_eq!(b.step(&renewed, start + DURATION), Step::Wait, "it lives, whatever its clock says");
        assert_eq!(b.step(&renewed, start + DURATION * 2), Step::Claim);
        let taken = b.claim(Some(&renewed)).spec.unwrap();
        assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("b"), Some(2)));
    }

    #[test]
    fn a_lease_of_ours_is_renewed_and_a_free_one_taken_at_once() {
        let mut a = candidate("a");
        let lease = a.claim(None);
        assert_eq!(a.step(&lease, Instant::now()), Step::Claim);
        let again = a.claim(Some(&lease)).spec.unwrap();
        assert_eq!(again.lease_transitions, Some(1));
        assert_eq!(again.acquire_time, lease.spec.unwrap().acquire_time);
        assert_eq!(a.step(&Lease::default(), Instant::now()), Step::Claim);
    }
}
