//! The kinds of objects that tests look at, by the words that `kubectl` takes. A table, because asking the
//! API server what there is takes a request for each of its groups.

use kube::api::ApiResource;

/// A kind of object.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    plural: &'static str,
    short: &'static str,
    group: &'static str,
    version: &'static str,
    pub(crate) namespaced: bool,
}

impl Kind {
    pub(crate) fn resource(&self) -> ApiResource {
        ApiResource {
            group: self.group.to_owned(),
            version: self.version.to_owned(),
            api_version: self.api_version(),
            kind: self.name.to_owned(),
            plural: self.plural.to_owned(),
        }
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    fn is_called(&self, word: &str) -> bool {
        let name = self.name.to_lowercase();
        let (singular, group) = word.split_once('.').unwrap_or((word, self.group));
        let is_short = !self.short.is_empty() && word == self.short;
        is_short || (group == self.group && (singular == name || singular == self.plural))
    }

    const fn namespaced(
        name: &'static str,
        plural: &'static str,
        short: &'static str,
        group: &'static str,
        version: &'static str,
    ) -> Self {
        Self {
            name,
            plural,
            short,
            group,
            version,
            namespaced: true,
        }
    }

    const fn of_cluster(
        name: &'static str,
        plural: &'static str,
        short: &'static str,
        group: &'static str,
        version: &'static str,
    ) -> Self {
        Self {
            namespaced: false,
            ..Self::namespaced(name, plural, short, group, version)
        }
    }
}

const ADMISSION: &str = "admissionregistration.k8s.io";
const IBM: &str = "com.ie.ibm.hpsys";
const DATASHIM: &str = "datashim.io";

/// A word without a group means the first that has it, as with `kubectl`.
const KINDS: &[Kind] = &[
    Kind::namespaced("ConfigMap", "configmaps", "cm", "", "v1"),
    Kind::namespaced("Event", "events", "ev", "", "v1"),
    Kind::namespaced(
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        "pvc",
        "",
        "v1",
    ),
    Kind::namespaced("Pod", "pods", "po", "", "v1"),
    Kind::namespaced("Secret", "secrets", "", "", "v1"),
    Kind::namespaced("Service", "services", "svc", "", "v1"),
    Kind::namespaced("ServiceAccount", "serviceaccounts", "sa", "", "v1"),
    Kind::of_cluster("Namespace", "namespaces", "ns", "", "v1"),
    Kind::of_cluster("Node", "nodes", "no", "", "v1"),
    Kind::of_cluster("PersistentVolume", "persistentvolumes", "pv", "", "v1"),
    Kind::namespaced("DaemonSet", "daemonsets", "ds", "apps", "v1"),
    Kind::namespaced("Deployment", "deployments", "deploy", "apps", "v1"),
    Kind::namespaced("StatefulSet", "statefulsets", "sts", "apps", "v1"),
    Kind::namespaced("Lease", "leases", "", "coordination.k8s.io", "v1"),
    Kind::namespaced(
        "EndpointSlice",
        "endpointslices",
        "",
        "discovery.k8s.io",
        "v1",
    ),
    Kind::namespaced(
        "NetworkPolicy",
        "networkpolicies",
        "netpol",
        "networking.k8s.io",
        "v1",
    ),
    Kind::of_cluster("CSIDriver", "csidrivers", "", "storage.k8s.io", "v1"),
    Kind::of_cluster(
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        "",
        ADMISSION,
        "v1",
    ),
    Kind::of_cluster(
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        "",
        ADMISSION,
        "v1",
    ),
    Kind::of_cluster(
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        "",
        ADMISSION,
        "v1",
    ),
    Kind::of_cluster(
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        "",
        ADMISSION,
        "v1",
    ),
    Kind::namespaced("Dataset", "datasets", "dset", IBM, "v1alpha1"),
    Kind::namespaced("Dataset", "datasets", "", DATASHIM, "v1alpha1"),
    Kind::namespaced(
        "DatasetInternal",
        "datasetsinternal",
        "dseti",
        IBM,
        "v1alpha1",
    ),
    Kind::namespaced(
        "DatasetInternal",
        "datasetsinternal",
        "",
        DATASHIM,
        "v1alpha1",
    ),
];

/// The kind of a word that `kubectl` takes: `pod`, `pods`, `po`, `datasets.datashim.io`, in any case.
///
/// # Panics
/// When the table has none.
pub(crate) fn kind(word: &str) -> &'static Kind {
    let lower = word.to_lowercase();
    let mut known = KINDS.iter();
    known
        .find(|kind| kind.is_called(&lower))
        .unwrap_or_else(|| panic!("no kind is called {word:?}: add it to tests/src/kinds.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_kubectl_lead_to_their_kind() {
        for (word, plural, api_version) in [
            ("pod", "pods", "v1"),
            ("pvc", "persistentvolumeclaims", "v1"),
            ("ConfigMap", "configmaps", "v1"),
            ("deployments", "deployments", "apps/v1"),
            ("daemonset.apps", "daemonsets", "apps/v1"),
            ("datasets", "datasets", "com.ie.ibm.hpsys/v1alpha1"),
            ("dataset.datashim.io", "datasets", "datashim.io/v1alpha1"),
            (
                "datasetinternal",
                "datasetsinternal",
                "com.ie.ibm.hpsys/v1alpha1",
            ),
            (
                "datasetsinternal.datashim.io",
                "datasetsinternal",
                "datashim.io/v1alpha1",
            ),
        ] {
            let found = kind(word);
            assert_eq!(found.plural, plural, "{word}");
            assert_eq!(found.api_version(), api_version, "{word}");
        }
    }

    #[test]
    #[should_panic(expected = "no kind is called \"dlf\": add it to tests/src/kinds.rs")]
    fn an_unknown_word_says_where_to_add_it() {
        let _ = kind("dlf");
    }
}
