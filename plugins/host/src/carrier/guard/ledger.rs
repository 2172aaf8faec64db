use std::{collections::HashMap, time::Duration};

use serde::Serialize;

use super::{Called, Fault, Limits, Whose};
use crate::carrier::Pause;

/// How long a Dataset is left alone over which the plugin failed the first time; doubled each time.
const FIRST: Duration = Duration::from_secs(5);
/// The longest, to which up to half is added: a Dataset that always hangs takes 4 % of its plugin's time.
const LONGEST: Duration = Duration::from_mins(2);
/// A Dataset that is not asked for so long after it could be has gone.
const GONE: Duration = Duration::from_mins(5);
/// Datasets that are remembered. When there are more, the plugin fails over everything and is left alone
/// as a whole.
const CULPRITS_MAX: usize = 1024;
/// Datasets that are told of.
const TOLD_MAX: usize = 8;

/// What a plugin has failed over.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By uid.
    culprits: HashMap<String, Failed>,
    /// Faults since the last answer that were nobody's, or a Dataset's first.
    row: u32,
    /// What keeps it from answering anybody.
    last: Option<String>,
    /// While it is left alone nobody asks; afterwards one call finds out.
    open: Option<Refusal>,
}

/// A Dataset over which it failed.
#[derive(Debug)]
struct Failed {
    whose: Whose,
    times: u32,
    class: Called,
    refusal: Refusal,
}

/// What whoever asks is told, and until when.
#[derive(Debug)]
struct Refusal {
    fault: Fault,
    pause: Pause,
}

impl Refusal {
    fn is_over(&self) -> bool {
        self.pause.left().is_none()
    }
}

/// A Dataset over which a plugin failed, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Culprit {
    /// As `NAMESPACE/NAME`.
    pub dataset: String,
    /// What the plugin did, as a condition's reason.
    pub reason: &'static str,
    /// How often in a row.
    pub times: u32,
}

impl Ledger {
    /// Why nobody asks now, if nobody should.
    pub(super) fn admit(&self, whose: Option<&Whose>) -> Result<(), Fault> {
        let culprit = whose.and_then(|whose| self.culprits.get(&whose.uid));
        let refusals = culprit.map(|culprit| &culprit.refusal).into_iter();
        let mut refusals = refusals.chain(&self.open);
        match refusals.find(|refusal| !refusal.is_over()) {
            Some(refusal) => Err(refusal.fault.clone()),
            None => Ok(()),
        }
    }

    /// It answers, so that what it failed over before was not all there is.
    pub(super) fn answered(&mut self, whose: Option<&Whose>) {
        if let Some(whose) = whose {
            self.culprits.remove(&whose.uid);
        }
        (self.row, self.last, self.open) = (0, None, None);
    }

    /// Notes a fault; gives what to tell whoever asked.
    pub(super) fn failed(&mut self, whose: Option<&Whose>, fault: Fault, limits: &Limits) -> Fault {
        let class = fault.class();
        if class == Called::Busy {
            return fault; // it was not asked
        }
        let culprit =
            whose.filter(|_| matches!(class, Called::Timeout | Called::Crashed | Called::Garbage));
        let (told, is_first) = match culprit {
            Some(whose) => self.blame(whose, class, &fault),
            None => (fault.clone(), true),
        };
        // Once it was left alone, whatever fails shows that it is no better.
        if is_first || self.row >= limits.failures {
            self.row = self.row.saturating_add(1);
            // Nobody is told whose plan it was that failed for another.
            let last = fault.to_string();
            self.open = self.row.checked_sub(limits.failures).map(|more| {
                let pause = limits.pause.saturating_mul(1 << more.min(16));
                let pause = Pause::of(pause.min(limits.longest_pause));
                let (failures, last) = (self.row, last.clone());
                let fault = Fault::Open {
                    failures,
                    last,
                    pause,
                };
                Refusal { fault, pause }
            });
            if culprit.is_none() || self.open.is_some() {
                self.last = Some(last);
            }
        }
        told
    }

    /// Whether it is the first time goes with what to tell.
    fn blame(&mut self, whose: &Whose, class: Called, last: &Fault) -> (Fault, bool) {
        self.culprits.retain(|_, failed| !failed.has_gone());
        let before = self
            .culprits
            .get(&whose.uid)
            .map_or(0, |failed| failed.times);
        if before == 0 && self.culprits.len() >= CULPRITS_MAX {
            return (last.clone(), true);
        }
        let pause = Pause::of(pause(before));
        let times = before.saturating_add(1);
        let fault = Fault::Of {
            dataset: whose.to_string(),
            times,
            last: Box::new(last.clone()),
            pause,
        };
        let failed = Failed {
            whose: whose.clone(),
            times,
            class,
            refusal: Refusal {
                fault: fault.clone(),
                pause,
            },
        };
        self.culprits.insert(whose.uid.clone(), failed);
        (fault, before == 0)
    }

    pub(super) fn fault(&self) -> Option<String> {
        self.last.clone()
    }

    /// The Datasets over which it failed most often.
    pub(super) fn culprits(&self) -> Vec<Culprit> {
        let there = self.culprits.values().filter(|failed| !failed.has_gone());
        let mut culprits: Vec<Culprit> = there.map(Failed::told).collect();
        culprits.sort_unstable_by(|a, b| {
            b.times
                .cmp(&a.times)
                .then_with(|| a.dataset.cmp(&b.dataset))
        });
        culprits.truncate(TOLD_MAX);
        culprits
    }
}

impl Failed {
    fn has_gone(&self) -> bool {
        self.refusal.pause.over_for() > GONE
    }

    fn told(&self) -> Culprit {
        Culprit {
            dataset: self.whose.to_string(),
            reason: self.class.reason(),
            times: self.times,
        }
    }
}

/// How long a Dataset is left alone that failed so often before. Those that fail together do not come back
/// together.
fn pause(before: u32) -> Duration {
    let pause = FIRST.saturating_mul(1 << before.min(16)).min(LONGEST);
    pause + pause.mul_f64(fastrand::f64() / 2.0)
}
