//! The steps, in their order: what should be true, what has to be true before, and what to do.

/// One step of the life of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Plan,
    Read,
    Edit,
    Rotate,
    Crash,
    Withdraw,
    Delete,
}

impl Step {
    const ALL: [Self; 8] = [
        Self::Create,
        Self::Plan,
        Self::Read,
        Self::Edit,
        Self::Rotate,
        Self::Crash,
        Self::Withdraw,
        Self::Delete,
    ];

    /// All of a check, with other keys to rotate to or without.
    pub(super) fn all(rotates: bool) -> Vec<Self> {
        let steps = Self::ALL.into_iter();
        steps
            .filter(|step| rotates || *step != Self::Rotate)
            .collect()
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Plan => "plan",
            Self::Read => "read through",
            Self::Edit => "edit",
            Self::Rotate => "rotate",
            Self::Crash => "crash",
            Self::Withdraw => "withdraw",
            Self::Delete => "delete",
        }
    }

    /// What should be true.
    pub(super) fn sentence(self) -> String {
        let sentence = match self {
            Self::Create => {
                "a Dataset that asks for the plugin gets a cache, which says where it answers"
            }
            Self::Plan => "what was planned is there, is labelled as the plugin's, and runs",
            Self::Read => "a pod lists the dataset and reads a file of it to the end",
            Self::Edit => "another capacity is planned anew, and another pod reads",
            Self::Rotate => {
                "a reader does not notice that other keys take the place of the first, and another pod reads"
            }
            Self::Crash => {
                "a reader does not notice that all pods of the cache die, and they come back"
            }
            Self::Withdraw => {
                "the cache goes when it is switched off, and a reader does not notice"
            }
            Self::Delete => "nothing is left of a cache whose Dataset is deleted",
        };
        format!("{}: {sentence}", self.as_str())
    }

    /// Steps without which this one cannot run.
    pub(super) const fn needs(self) -> &'static [Self] {
        match self {
            // What a failed step has made can be deleted.
            Self::Create | Self::Delete => &[],
            Self::Plan | Self::Read => &[Self::Create],
            Self::Edit | Self::Rotate | Self::Withdraw => &[Self::Create, Self::Read],
            Self::Crash => &[Self::Create, Self::Plan, Self::Read],
        }
    }

    /// What to do when it fails.
    pub(super) fn fix(self, plugin: &str, dlf: &str, caches: &str) -> String {
        let log = format!("`kubectl -n {dlf} logs deployment/dlf-plugin-{plugin}`");
        let events = format!("`kubectl -n {caches} get events`");
        match self {
            Self::Create => format!(
                "answer `plan` with ready: true and an effective endpoint once the cache's pods are ready; {log} is the plugin's log, {events} tells why pods of the cache do not start"
            ),
            Self::Plan => format!("plan a Deployment or a StatefulSet whose pods become ready; {events} tells why they do not"),
            Self::Read => "run again with --keep and look at the pod: `kubectl describe` and `kubectl logs`; answer GET and HEAD as the bucket does, with `Host` and `x-amz-*` as they came".to_owned(),
            Self::Edit => format!("plan from decision.capacity_bytes of each request, and change no field that Kubernetes lets nobody change; {log} is the plugin's log"),
            Self::Rotate => "ask for no keys in a plan and keep none in the cache: each request brings its own signature, which the source checks".to_owned(),
            Self::Crash => "let the pods be made anew by a Deployment or a StatefulSet, and answer nothing but whole, unchanged objects: what a cache refuses, mounts read from the source".to_owned(),
            Self::Withdraw => format!("plan no object with finalizers that nobody takes off; `kubectl -n {caches} get all --show-labels` shows what is left"),
            Self::Delete => format!("plan no object with finalizers that nobody takes off; {log} and `kubectl -n {dlf} logs deployment/dlf-operator` say what waits"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_needs_only_those_before_it() {
        for (index, step) in Step::ALL.into_iter().enumerate() {
            for needed in step.needs() {
                assert!(Step::ALL[..index].contains(needed), "{step:?}");
            }
        }
    }
}
