//! Whether the API server would take what was planned.

use dlf_core::{names::field_manager, shown};
use serde_json::Value;

use super::{diff::identity, live::Live};
use crate::cluster::RequestError;

/// Longest answer of the API server's that is shown.
const SAID_BYTES_MAX: usize = 1024;

/// What became of all that was tried.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// Objects that are refused, each with the API server's sentence.
    pub(super) refused: Vec<String>,
    /// Why others could not be tried.
    pub(super) unknown: Vec<String>,
}

/// Applies each object as the operator would, under the name by which the plugin is installed, and nothing
/// stays of it.
pub(super) async fn run(live: &Live, planned: &[Value], plugin: &str) -> Tried {
    let manager = field_manager(plugin);
    let mut tried = Tried::default();
    for object in planned {
        tried.note(object, live.try_apply(object, &manager).await);
    }
    tried
}

impl Tried {
    fn note(&mut self, object: &Value, answer: Result<(), RequestError>) {
        let name = identity(object);
        let short = |said: &str| shown::line(said, SAID_BYTES_MAX);
        match answer {
            Ok(()) => {}
            // Quotas, policies and Pod Security answer so as well.
            Err(RequestError::Forbidden(said)) if !is_right(&said) => {
                self.refused.push(format!("{name}: {}", short(&said)));
            }
            Err(RequestError::Refused {
                code: 400..429 | 500,
                message,
            }) => self.refused.push(format!("{name}: {}", short(&message))),
            Err(RequestError::NotFound) => {
                self.unknown
                    .push(format!("{name}: its namespace or its kind is not there"));
            }
            Err(error) => self
                .unknown
                .push(format!("{name}: {}", short(&error.to_string()))),
        }
    }

    /// For a person, below the differences.
    pub(super) fn lines(&self) -> String {
        let lines = |what: &str, all: &[String]| -> String {
            let all = all.iter();
            all.flat_map(|one| ["# ", what, " ", one, "\n"]).collect()
        };
        lines("the API server does not take", &self.refused)
            + &lines("not known whether the API server takes", &self.unknown)
    }
}

/// Whether it is the user who may not: the words of RBAC.
fn is_right(said: &str) -> bool {
    said.contains("cannot patch resource") || said.contains("cannot create resource")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_refused_is_told_apart_from_what_the_user_may_not_try() {
        let object =
            json!({ "kind": "Deployment", "metadata": { "namespace": "dlf-caches", "name": "c" } });
        let mut tried = Tried::default();
        let refused = |code: u16, message: &str| {
            Err(RequestError::Refused {
                code,
                message: message.to_owned(),
            })
        };
        let mistyped = "failed to create typed patch object (dlf-caches/c; apps/v1, Kind=Deployment): \
                        .spec.template.spec.contaniers: field not declared in schema";
        let right = "deployments.apps \"c\" is forbidden: User \"tom\" cannot patch resource \"deployments\" in API group \
                     \"apps\" in the namespace \"dlf-caches\"";
        let quota = "deployments.apps \"c\" is forbidden: exceeded quota: caches";
        tried.note(&object, Ok(()));
        tried.note(&object, refused(500, mistyped));
        tried.note(&object, refused(422, "spec.replicas: Invalid value: -1"));
        tried.note(&object, Err(RequestError::Forbidden(quota.to_owned())));
        tried.note(&object, Err(RequestError::Forbidden(right.to_owned())));
        tried.note(&object, Err(RequestError::NotFound));
        tried.note(&object, refused(503, "not now"));
        assert_eq!((tried.refused.len(), tried.unknown.len()), (3, 3));
        let lines = tried.lines();
        let first = format!("# the API server does not take Deployment dlf-caches/c: {mistyped}\n");
        assert!(lines.starts_with(&first), "{lines}");
        assert!(lines.contains("not known whether"), "{lines}");
        assert_eq!(Tried::default().lines(), "");
    }
}
