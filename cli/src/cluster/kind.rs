use dlf_core::api::{ApiGroup, Dataset, DatasetInternal, VERSION};
use serde_json::Value;

/// A kind of object, as it stands in paths and in objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    group: &'static str,
    version: &'static str,
    name: &'static str,
    plural: &'static str,
}

impl Kind {
    pub(crate) const NAMESPACE: Self = Self::new("", "v1", "Namespace", "namespaces");
    pub(crate) const POD: Self = Self::new("", "v1", "Pod", "pods");
    pub(crate) const SECRET: Self = Self::new("", "v1", "Secret", "secrets");
    pub(crate) const SERVICE: Self = Self::new("", "v1", "Service", "services");
    pub(crate) const CONFIG_MAP: Self = Self::new("", "v1", "ConfigMap", "configmaps");
    pub(crate) const EVENT: Self = Self::new("", "v1", "Event", "events");
    pub(crate) const CLAIM: Self =
        Self::new("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims");
    pub(crate) const VOLUME: Self = Self::new("", "v1", "PersistentVolume", "persistentvolumes");
    pub(crate) const DEPLOYMENT: Self = Self::new("apps", "v1", "Deployment", "deployments");
    pub(crate) const STATEFUL_SET: Self = Self::new("apps", "v1", "StatefulSet", "statefulsets");
    pub(crate) const DAEMON_SET: Self = Self::new("apps", "v1", "DaemonSet", "daemonsets");
    pub(crate) const NETWORK_POLICY: Self = Self::new(
        "networking.k8s.io",
        "v1",
        "NetworkPolicy",
        "networkpolicies",
    );
    pub(crate) const ACCESS_REVIEW: Self = Self::new(
        "authorization.k8s.io",
        "v1",
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
    );
    pub(crate) const LEASE: Self = Self::new("coordination.k8s.io", "v1", "Lease", "leases");
    pub(crate) const CSI_DRIVER: Self =
        Self::new("storage.k8s.io", "v1", "CSIDriver", "csidrivers");
    pub(crate) const CRD: Self = Self::new(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
    );
    pub(crate) const MUTATING: Self = Self::new(
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
    );
    pub(crate) const VALIDATING: Self = Self::new(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
    );
    pub(crate) const POLICY: Self = Self::new(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
    );
    pub(crate) const POLICY_BINDING: Self = Self::new(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
    );

    const fn new(
        group: &'static str,
        version: &'static str,
        name: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            name,
            plural,
        }
    }

    /// Datasets of a group.
    pub(crate) const fn dataset(group: ApiGroup) -> Self {
        Self::new(group.name(), VERSION, Dataset::KIND, Dataset::PLURAL)
    }

    /// What a Dataset of a group became: DatasetInternal.
    pub(crate) const fn internal(group: ApiGroup) -> Self {
        Self::new(
            group.name(),
            VERSION,
            DatasetInternal::KIND,
            DatasetInternal::PLURAL,
        )
    }

    /// Its name in messages.
    pub(crate) const fn as_str(self) -> &'static str {
        self.name
    }

    /// Its group and its plural, as roles name it.
    pub(crate) const fn resource(self) -> (&'static str, &'static str) {
        (self.group, self.plural)
    }

    /// Where its objects stand: those of a namespace, or all.
    pub(super) fn path(self, namespace: Option<&str>) -> String {
        let Self {
            group,
            version,
            plural,
            ..
        } = self;
        let root = if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        match namespace {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}"),
            None => format!("{root}/{plural}"),
        }
    }

    /// An item of a list, with the `apiVersion` and `kind` that lists leave out.
    pub(super) fn named(self, mut item: Value) -> Value {
        let version = if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        };
        if let Some(fields) = item.as_object_mut() {
            fields.insert("apiVersion".to_owned(), version.into());
            fields.insert("kind".to_owned(), self.name.into());
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_stand_where_the_api_server_has_them() {
        assert_eq!(Kind::POD.path(Some("ns")), "/api/v1/namespaces/ns/pods");
        let datasets = Kind::dataset(ApiGroup::Datashim);
        assert_eq!(datasets.path(None), "/apis/datashim.io/v1alpha1/datasets");
        let named = datasets.named(json!({}));
        assert_eq!(named["apiVersion"], "datashim.io/v1alpha1");
    }
}
