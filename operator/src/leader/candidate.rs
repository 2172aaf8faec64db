use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::api::ObjectMeta;
use tokio::time::Instant;

use super::{DURATION, LEASE};

/// One replica, and what it has seen of the Lease.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) identity: String,
    /// The Lease's version, and when it was first seen.
    seen: Option<(String, Instant)>,
}

/// What is right to do about the Lease.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is another's.
    Wait,
    /// It is ours, free or abandoned.
    Claim,
}

impl Candidate {
    pub(super) fn new(identity: String) -> Self {
        Self {
            identity,
            seen: None,
        }
    }

    /// What is right to do about the Lease as it is.
    pub(super) fn step(&mut self, lease: &Lease, now: Instant) -> Step {
        let holder = lease
            .spec
            .as_ref()
            .and_then(|spec| spec.holder_identity.as_deref())
            .unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            return Step::Claim;
        }
        let version = lease
            .metadata
            .resource_version
            .as_deref()
            .unwrap_or_default();
        match &self.seen {
            Some((seen, since)) if seen == version => {
                if now.duration_since(*since) >= DURATION {
                    Step::Claim
                } else {
                    Step::Wait
                }
            }
            _ => {
                self.seen = Some((version.to_owned(), now));
                Step::Wait
            }
        }
    }

    /// The Lease as this replica's. It replaces that very version and no other.
    pub(super) fn claim(&self, before: Option<&Lease>) -> Lease {
        let now = Some(MicroTime(Timestamp::now()));
        let spec = before
            .and_then(|lease| lease.spec.clone())
            .unwrap_or_default();
        let is_ours = spec.holder_identity.as_deref() == Some(self.identity.as_str());
        let transitions = spec.lease_transitions.unwrap_or_default();
        let metadata = ObjectMeta {
            name: Some(LEASE.to_owned()),
            ..ObjectMeta::default()
        };
        Lease {
            metadata: before.map_or(metadata, |lease| lease.metadata.clone()),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                lease_transitions: Some(if is_ours {
                    transitions
                } else {
                    transitions.saturating_add(1)
                }),
                acquire_time: if is_ours {
                    spec.acquire_time
                } else {
                    now.clone()
                },
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
        Candidate::new(identity.to_owned())
    }

    fn versioned(mut lease: Lease, version: &str) -> Lease {
        lease.metadata.resource_version = Some(version.to_owned());
        lease
    }

    #[test]
    fn a_lease_is_taken_when_it_was_seen_unchanged_for_its_duration() {
        let (a, mut b) = (candidate("a"), candidate("b"));
        let lease = versioned(a.claim(None), "1");
        let start = Instant::now();
        assert_eq!(b.step(&lease, start), Step::Wait);
        assert_eq!(b.step(&lease, start + DURATION / 2), Step::Wait);
        let renewed = versioned(a.claim(Some(&lease)), "2");
        assert_eq!(
            b.step(&renewed, start + DURATION),
            Step::Wait,
            "it lives, whatever its clock says"
        );
        assert_eq!(b.step(&renewed, start + DURATION * 2), Step::Claim);
        let taken = b.claim(Some(&renewed)).spec.unwrap();
        assert_eq!(
            (taken.holder_identity.as_deref(), taken.lease_transitions),
            (Some("b"), Some(2))
        );
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
