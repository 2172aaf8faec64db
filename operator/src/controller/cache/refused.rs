use crate::controller::error::{self, Problem, refusal};

/// What the API server's message begins with when a server-side apply does not fit the schema of its
/// kind, or a value its type: it answers 500 then, as if the fault were its own.
const UNFIT: [&str; 2] = [
    "failed to create typed patch object",
    "failed to convert new typed object",
];

/// An object of a cache that the API server does not take.
pub(super) struct Refused<'a> {
    pub(super) kind: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    /// The plugin that planned it; none where it is the operator's own.
    pub(super) plugin: Option<&'a str>,
}

impl Refused<'_> {
    /// Whose it is to mend: the plugin's author's, or, by [`refusal`], that of whoever rules the cluster.
    ///
    /// # Errors
    /// The error it had, where trying again may be enough.
    pub(super) fn problem(&self, error: kube::Error) -> Result<Problem, kube::Error> {
        let Self {
            kind,
            namespace,
            name,
            plugin,
        } = self;
        let (Some(plugin), kube::Error::Api(status)) = (plugin, &error) else {
            return refusal(error, kind, name);
        };
        let why = error::sentence(&status.message);
        if is_unplannable(status.code, &status.message) {
            return Ok(Problem::failed(
                "PlanRefused",
                format!(
                    "plugin {plugin}: the API server does not take {kind} {namespace}/{name} as it is planned: {why}; \
                     mend the plugin, whose author sees this with `kubectl dlf plugin plan --diff`"
                ),
            ));
        }
        if status.code == 404 {
            return Ok(Problem::pending(
                "PlanNotTaken",
                format!(
                    "plugin {plugin}: the API server does not take {kind} {name} in namespace {namespace}: {why}"
                ),
            ));
        }
        refusal(error, kind, name)
    }
}

/// Whether no cluster would take the object. A policy of this one answers 400 or 422 as well.
fn is_unplannable(code: u16, message: &str) -> bool {
    match code {
        400 | 422 => !error::is_of_policy(message),
        413 => true,
        500 => UNFIT.iter().any(|unfit| message.starts_with(unfit)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(plugin: Option<&str>, code: u16, message: &str) -> Result<Problem, kube::Error> {
        let refused = Refused {
            kind: "Deployment",
            namespace: "dlf-caches",
            name: "cache-1",
            plugin,
        };
        refused.problem(kube::Error::Api(Box::new(kube::core::Status {
            code,
            message: message.to_owned(),
            ..kube::core::Status::default()
        })))
    }

    const MISTYPED: &str = "failed to create typed patch object (dlf-caches/cache-1; apps/v1, Kind=Deployment): \
                            .spec.template.spec.contaniers: field not declared in schema";

    #[test]
    fn what_no_cluster_would_take_is_the_plugins_to_mend() {
        let quantity = "failed to convert new typed object (dlf-caches/cache-1; apps/v1, Kind=Deployment) to object: \
                        quantities must match the regular expression";
        let immutable = "Deployment.apps \"cache-1\" is invalid: spec.selector: Invalid value: {}: field is immutable";
        for (code, message) in [
            (500, MISTYPED),
            (500, quantity),
            (422, immutable),
            (400, "Incorrect version specified in apply patch"),
            (413, "Request entity too large: limit is 3145728"),
        ] {
            let problem = judged(Some("acme"), code, message).unwrap();
            assert_eq!(problem.reason, "PlanRefused", "{message}");
            for part in [
                "plugin acme",
                "Deployment dlf-caches/cache-1",
                message,
                "plan --diff",
            ] {
                assert!(problem.message.contains(part), "{}", problem.message);
            }
        }
    }

    #[test]
    fn what_this_cluster_does_not_take_is_not_said_to_be_the_plugins_fault() {
        let webhook = "admission webhook \"images.example.com\" denied the request: not from here";
        let policy = "deployments.apps \"cache-1\" is forbidden: ValidatingAdmissionPolicy 'images' with binding 'images' \
                      denied request: not from here";
        for (code, message) in [
            (403, "exceeded quota: caches"),
            (400, webhook),
            (422, policy),
        ] {
            let problem = judged(Some("acme"), code, message).unwrap();
            assert_eq!(problem.reason, "RefusedByCluster", "{message}");
        }
        let missing = judged(Some("acme"), 404, "namespaces \"dlf-caches\" not found").unwrap();
        assert_eq!(missing.reason, "PlanNotTaken");
        let own = judged(None, 422, "spec.ingress: Invalid value").unwrap();
        assert_eq!(own.reason, "RefusedByCluster");
    }

    #[test]
    fn what_passes_is_tried_again() {
        for (code, message) in [
            (409, "the object has been modified"),
            (429, "too many requests"),
            (500, "etcdserver: request timed out"),
            (
                500,
                "failed to create typed live object (dlf-caches/cache-1; ...)",
            ),
            (503, "the server is currently unable to handle the request"),
        ] {
            assert!(judged(Some("acme"), code, message).is_err(), "{message}");
        }
        assert!(judged(None, 500, MISTYPED).is_err());
    }
}
