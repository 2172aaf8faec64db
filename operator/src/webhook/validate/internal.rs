//! `/validate/datasetsinternal`: a DatasetInternal says what pods really use, so only the operator
//! writes it, and those whom the configuration names.

use serde::Deserialize;
use serde_json::Value;

use crate::webhook::review::{Operation, Request, Verdict};

/// A DatasetInternal, as far as it matters who writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::webhook) struct Internal {
    metadata: Metadata,
    spec: Value,
    status: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    deletion_timestamp: Option<String>,
}

/// Decides on a write. Deleting is free, and so is what deleting brings with it.
pub(in crate::webhook) fn internal(
    request: &Request<Internal>,
    operator: &str,
    writers: &[&str],
) -> Verdict {
    let user = &request.user_info.username;
    let may_write = user == operator || writers.contains(&user.as_str());
    if may_write || request.operation == Operation::Delete || only_leaves(request) {
        return Verdict::admit();
    }
    Verdict::refuse(format!(
        "a DatasetInternal is written by the operator, and {user} is not it; edit the Dataset of the same name, or have an \
         administrator add {user} to admission.internal_writers of the configuration"
    ))
}

/// The garbage collector takes finalizers off an object that is on its way out.
fn only_leaves(request: &Request<Internal>) -> bool {
    match (&request.old_object, &request.object) {
        (Some(old), Some(new)) => {
            old.metadata.deletion_timestamp.is_some()
                && old.spec == new.spec
                && old.status == new.status
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OPERATOR: &str = "system:serviceaccount:dlf-system:dlf-operator";

    fn refused(request: &Value) -> bool {
        let body = json!({ "request": request }).to_string();
        let request = Request::read(body.as_bytes()).unwrap();
        internal(&request, OPERATOR, &["system:serviceaccount:x:plugin"])
            .refusal
            .is_some()
    }

    #[test]
    fn only_the_operator_and_named_writers_write() {
        for (user, expected) in [
            (OPERATOR, false),
            ("system:serviceaccount:x:plugin", false),
            ("system:serviceaccount:x:other", true),
            ("kubernetes-admin", true),
            ("", true),
        ] {
            for (operation, sub_resource) in [("CREATE", ""), ("UPDATE", ""), ("UPDATE", "status")]
            {
                let request = json!({
                    "uid": "u", "operation": operation, "subResource": sub_resource,
                    "userInfo": { "username": user }, "object": { "spec": {} },
                });
                assert_eq!(
                    refused(&request),
                    expected,
                    "{user} {operation} {sub_resource}"
                );
            }
        }
    }

    #[test]
    fn whoever_deletes_may_take_finalizers_off() {
        let leaving = |spec: &Value| json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" }, "spec": spec });
        let request = |new: &Value| {
            json!({
                "uid": "u", "operation": "UPDATE", "userInfo": { "username": "gc" },
                "oldObject": leaving(&json!({ "local": {} })), "object": new,
            })
        };
        assert!(!refused(&request(&leaving(&json!({ "local": {} })))));
        assert!(refused(&request(&leaving(
            &json!({ "local": { "type": "COS" } })
        ))));
    }
}
