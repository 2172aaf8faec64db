//! Somebody with the role `edit` in one namespace and no other right.

use std::time::Duration;

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, Output, dataset, eventually, kubectl, kubectl_with,
};

/// A right that was given is in force within this.
const GIVEN_WITHIN: Duration = Duration::from_secs(30);

/// A tenant and its namespace.
pub(crate) struct Tenant {
    /// The namespace; what is done through it is done by the cluster's administrator.
    pub(crate) namespace: Namespace,
    user: String,
}

impl Tenant {
    pub(crate) fn new(purpose: &str) -> Self {
        let namespace = Namespace::new(purpose);
        let account = format!("{}:tenant", namespace.name);
        for arguments in [
            &["create", "serviceaccount", "tenant"][..],
            &[
                "create",
                "rolebinding",
                "tenant",
                "--clusterrole=edit",
                &format!("--serviceaccount={account}"),
            ],
        ] {
            let _ = namespace.kubectl(arguments).expect_ok();
        }
        let user = format!("system:serviceaccount:{account}");
        let tenant = Self { namespace, user };
        tenant.wait_may("create", DATASETS);
        tenant
    }

    /// Gives it every right on these resources of Datasets' groups in its namespace.
    pub(crate) fn give(&self, resources: &str) {
        let role = format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: more}}\nrules:\n\
             - {{apiGroups: [com.ie.ibm.hpsys, datashim.io], resources: [{resources}], verbs: ['*']}}\n---\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: more}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: more}}\n\
             subjects: [{{kind: ServiceAccount, name: tenant}}]\n"
        );
        let _ = self.namespace.apply(&role).expect_ok();
        self.wait_may("patch", "datasetsinternal.com.ie.ibm.hpsys");
    }

    fn wait_may(&self, verb: &str, resource: &str) {
        eventually("the right to be in force", GIVEN_WITHIN, || {
            let asked = self.kubectl(&["auth", "can-i", verb, resource]);
            if asked.ok { Ok(()) } else { Err(asked.text) }
        });
    }

    /// Runs `kubectl` as the tenant, in its namespace.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Output {
        self.run(arguments, "")
    }

    /// The same with this standard input.
    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> Output {
        let who = ["-n", &self.namespace.name, "--as", &self.user];
        kubectl_with(&[&who, arguments].concat(), input)
    }

    /// Applies manifests as the tenant.
    pub(crate) fn apply(&self, manifests: &str) -> Output {
        self.run(&["apply", "-f", "-"], manifests)
    }

    /// A token of its service account for an audience.
    pub(crate) fn token(&self, audience: &str) -> String {
        let audience = format!("--audience={audience}");
        let made = self.kubectl(&["create", "token", "tenant", &audience]);
        made.expect_ok().trim().to_owned()
    }
}

/// Another tenant, with the Dataset `books` and a bucket that holds `it.txt`.
pub(crate) struct Neighbour {
    pub(crate) tenant: Tenant,
    pub(crate) bucket: Bucket,
    /// The Dataset's uid.
    pub(crate) uid: String,
}

impl Neighbour {
    pub(crate) fn new(purpose: &str) -> Self {
        let bucket = Bucket::new(purpose);
        bucket.put("it.txt", b"the neighbour's\n");
        let tenant = Tenant::new(purpose);
        let books = dataset("books", &bucket.name, "");
        let _ = tenant.apply(&books).expect_ok();
        tenant.namespace.wait_dataset("books");
        tenant.namespace.wait_bound("books");
        let uid = tenant.namespace.get(DATASETS, "books")["metadata"]["uid"].clone();
        let uid = uid.as_str().unwrap().to_owned();
        Self {
            tenant,
            bucket,
            uid,
        }
    }

    /// Name of its volume, and the volume's handle.
    pub(crate) fn handle(&self) -> String {
        format!("dlf-{}", self.uid)
    }

    /// A pod of its own still gets its data.
    pub(crate) fn is_unharmed(&self) {
        let script = "cat /mnt/datasets/books/it.txt";
        let namespace = &self.tenant.namespace;
        let log = namespace.run_pod("unharmed", "dataset.0.id: books", script, "");
        assert_eq!(log, "the neighbour's\n");
        let _ = namespace
            .kubectl(&["delete", "pod", "unharmed"])
            .expect_ok();
    }
}

/// An object without namespace; deleted when dropped.
pub(crate) struct OfCluster {
    kind: &'static str,
    name: String,
}

impl OfCluster {
    pub(crate) fn make(kind: &'static str, name: &str, manifest: &str) -> Self {
        let _ = kubectl_with(&["apply", "-f", "-"], manifest).expect_ok();
        Self {
            kind,
            name: name.to_owned(),
        }
    }
}

impl Drop for OfCluster {
    fn drop(&mut self) {
        let _ = kubectl(&["delete", self.kind, &self.name, "--wait=false"]);
    }
}

/// Waits until a Dataset's source is said to be out of reach for `reason`; gives the message.
pub(crate) fn unreachable_for(namespace: &Namespace, dataset: &str, reason: &str) -> String {
    let kind = format!("{DATASETS}/{dataset}");
    let (found, message) =
        namespace.wait_condition(&kind, "SourceReachable", "False", NAMED_WITHIN);
    assert_eq!(found, reason, "{dataset}: {message}");
    message
}
