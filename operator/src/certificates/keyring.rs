use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::authority::{Authority, CertificateError};

/// A new authority is made when the active one has less than this left.
const RENEW_BEFORE: Duration = Duration::from_hours(24 * 120);
/// A new authority is trusted this long before it signs, and an old one this long after it has
/// stopped: far longer than a mounted ConfigMap takes to change and than a leaf is used.
const OVERLAP: Duration = Duration::from_hours(24 * 14);

/// An authority with less than this left cannot sign for a whole overlap.
const EXPIRING: Duration = Duration::from_hours(24 * 7);

/// The authority that signs, with the ones that come before and after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Keyring {
    pub(super) active: Authority,
    /// Trusted already, signs later.
    next: Option<Authority>,
    /// Certificate of the one that signed before, in PEM.
    previous: Option<String>,
    /// Seconds since 1970; when any of this last changed.
    changed: u64,
}

impl Keyring {
    pub(super) fn generate(now: SystemTime) -> Result<Self, CertificateError> {
        Ok(Self {
            active: Authority::generate(now)?,
            next: None,
            previous: None,
            changed: seconds(now),
        })
    }

    /// Everything that is to be trusted, in PEM.
    pub(super) fn bundle(&self) -> String {
        let next = self.next.iter().map(|next| next.cert_pem.as_str());
        let all = [self.active.cert_pem.as_str()]
            .into_iter()
            .chain(next)
            .chain(self.previous.as_deref());
        all.collect()
    }

    /// The next step of a rotation, when it is time for one.
    pub(super) fn step(&self, now: SystemTime) -> Result<Option<Self>, CertificateError> {
        let changed = seconds(now);
        // After a year's sleep there is nobody left to wait for.
        let rested = changed >= self.changed.saturating_add(OVERLAP.as_secs())
            || self.active.not_after < seconds(now + EXPIRING);
        let step = match (&self.next, &self.previous) {
            (Some(next), _) if rested => {
                let previous = Some(self.active.cert_pem.clone());
                Some(Self {
                    active: next.clone(),
                    next: None,
                    previous,
                    changed,
                })
            }
            (None, Some(_)) if rested => Some(Self {
                previous: None,
                changed,
                ..self.clone()
            }),
            (None, None) if self.active.not_after < seconds(now + RENEW_BEFORE) => Some(Self {
                next: Some(Authority::generate(now)?),
                changed,
                ..self.clone()
            }),
            _ => None,
        };
        Ok(step)
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn a_rotation_never_signs_with_what_is_not_trusted_yet() {
        let start = SystemTime::now();
        let first = Keyring::generate(start).unwrap();
        assert_eq!(
            first.step(start + DAY).unwrap(),
            None,
            "nothing to do for months"
        );

        let late = start + DAY * 300;
        let announced = first.step(late).unwrap().unwrap();
        assert_eq!(announced.active, first.active);
        assert!(announced.bundle().contains(&first.active.cert_pem));
        assert_eq!(announced.step(late + DAY).unwrap(), None, "clocks may jump");

        let switched = announced.step(late + OVERLAP).unwrap().unwrap();
        assert_ne!(switched.active, first.active);
        assert!(
            announced.bundle().contains(&switched.active.cert_pem),
            "it was trusted before"
        );
        assert!(
            switched.bundle().contains(&first.active.cert_pem),
            "the old one still is"
        );

        let done = switched.step(late + OVERLAP * 2).unwrap().unwrap();
        assert_eq!(done.bundle(), switched.active.cert_pem);
    }

    #[test]
    fn an_authority_that_ran_out_unseen_is_replaced_at_once() {
        let start = SystemTime::now();
        let late = start + DAY * 400;
        let announced = Keyring::generate(start)
            .unwrap()
            .step(late)
            .unwrap()
            .unwrap();
        let switched = announced.step(late).unwrap().unwrap();
        assert!(switched.active.not_after > seconds(late));
    }
}
