//! Writes of the operator that the API server refuses, by a policy of the cluster's: a way to stop
//! it between any two of them.

use std::time::Duration;

use dlf_tests::{contains, eventually, kubectl, kubectl_with};

pub(crate) const POLICY: &str = "dlf-test-refusals";
const OPERATOR: &str = "system:serviceaccount:dlf-system:dlf-operator";

/// One write of the reconcile of one Dataset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    /// The Dataset it is refused to.
    pub(crate) dataset: &'static str,
    /// As admission names it: CREATE, UPDATE or DELETE.
    pub(crate) operation: &'static str,
    /// With its subresource.
    pub(crate) resource: &'static str,
    /// Of several objects of this resource, those for which this CEL expression holds.
    pub(crate) object: &'static str,
}

impl Refusal {
    pub(crate) const fn of(
        dataset: &'static str,
        operation: &'static str,
        resource: &'static str,
    ) -> Self {
        Self {
            dataset,
            operation,
            resource,
            object: "true",
        }
    }

    pub(crate) const fn where_object(self, object: &'static str) -> Self {
        Self { object, ..self }
    }

    fn expression(&self) -> String {
        format!(
            "(variables.dataset == '{}' && request.operation == '{}' && variables.resource == '{}' && {})",
            self.dataset, self.operation, self.resource, self.object
        )
    }
}

/// In force until it is dropped.
pub(crate) struct Refusals;

impl Refusals {
    pub(crate) fn begin(refusals: &[Refusal]) -> Self {
        let all: Vec<String> = refusals.iter().map(Refusal::expression).collect();
        let refused = Self;
        let _ = kubectl_with(&["apply", "-f", "-"], &policy(&all.join(" || "))).expect_ok();
        eventually(
            "the refusals to be in force",
            Duration::from_secs(30),
            || {
                let asked = kubectl_with(
                    &["apply", "--dry-run=server", "--as", OPERATOR, "-f", "-"],
                    PROBE,
                );
                contains(&asked.error, POLICY)
            },
        );
        refused
    }
}

impl Drop for Refusals {
    fn drop(&mut self) {
        let kinds = "validatingadmissionpolicybindings,validatingadmissionpolicies";
        let _ = kubectl(&["delete", kinds, POLICY, "--ignore-not-found"]);
    }
}

/// What tells whether the policy is in force: the operator's own policy has nothing against it.
const PROBE: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: dlf-test-probe, namespace: dlf-system, labels: {dlf.dev/dataset-uid: probe}}
";

fn policy(refused: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {POLICY}}}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {{apiGroups: ['*'], apiVersions: ['*'], operations: [CREATE, UPDATE, DELETE], resources: ['*/*']}}
  matchConditions:
  - {{name: operator, expression: \"request.userInfo.username == '{OPERATOR}'\"}}
  variables:
  - {{name: thing, expression: 'object == null ? oldObject : object'}}
  - name: labels
    expression: 'has(variables.thing.metadata.labels) ? variables.thing.metadata.labels : {{}}'
  - name: dataset
    expression: \"'dlf.dev/dataset-name' in variables.labels ? variables.labels['dlf.dev/dataset-name'] : request.name\"
  - name: resource
    expression: \"request.resource.resource + (request.subResource == '' ? '' : '/' + request.subResource)\"
  validations:
  - expression: \"!(request.name == 'dlf-test-probe' || {refused})\"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {POLICY}}}
spec: {{policyName: {POLICY}, validationActions: [Deny]}}
"
    )
}
