//! Somebody who got hold of the operator's token. RBAC gives it Secrets, `ConfigMaps`, claims and volumes of
//! all namespaces; what it may do with them is less.

use dlf_tests::{Bucket, Output, contains, dataset, kubectl_with};

use crate::tenant::{OfCluster, Tenant};

const OPERATOR: &str = "system:serviceaccount:dlf-system:dlf-operator";
const UNINSTALL: &str = "system:serviceaccount:dlf-system:dlf-uninstall";

/// Makes it as the operator, but for the writing: nothing is left where a refusal is missing.
fn make(namespace: &str, manifest: &str) -> Output {
    let create = ["-n", namespace, "create", "--dry-run=server", "-f", "-"];
    kubectl_with(&[&create[..], &["--as", OPERATOR]].concat(), manifest)
}

fn object(kind: &str, name: &str, labels: &str, more: &str) -> String {
    format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}, labels: {{{labels}}}{more}\n")
}

const OURS: &str = "dlf.dev/dataset-uid: u";

#[test]
fn the_operators_token_makes_only_what_the_operator_makes() {
    let token = ", annotations: {kubernetes.io/service-account.name: default}}\ntype: kubernetes.io/service-account-token";
    let volume = |driver: &str| {
        format!(
            "}}\nspec: {{accessModes: [ReadWriteMany], capacity: {{storage: 1Gi}}, csi: {{driver: {driver}, volumeHandle: x}}}}"
        )
    };
    let host =
        "}\nspec: {accessModes: [ReadWriteMany], capacity: {storage: 1Gi}, hostPath: {path: /}}";
    let labelled = "the operator writes and deletes what Datasets made (label dlf.dev/dataset-uid";
    let no_type =
        |found: &str| format!("Secret {found}: the operator makes Secrets of type Opaque");
    let certificate = "dlf.dev/plugin-certificate: x";
    for (namespace, manifest, said) in [
        (
            "kube-system",
            object("Secret", "stolen", "", token),
            format!("Secret kube-system/stolen: {labelled}"),
        ),
        (
            "kube-system",
            object("Secret", "stolen", OURS, token),
            no_type("kube-system/stolen of type kubernetes.io/service-account-token"),
        ),
        (
            "kube-system",
            object("Secret", "dlf-ca", "", "}"),
            format!("Secret kube-system/dlf-ca: {labelled}"),
        ),
        (
            "default",
            object("Secret", "dlf-plugin-x", certificate, "}"),
            format!("Secret default/dlf-plugin-x: {labelled}"),
        ),
        (
            "dlf-system",
            object("Secret", "dlf-plugin-x", certificate, "}"),
            no_type("dlf-system/dlf-plugin-x of type Opaque"),
        ),
        (
            "kube-system",
            object("ConfigMap", "stolen", "", "}"),
            format!("ConfigMap kube-system/stolen: {labelled}"),
        ),
        (
            "default",
            object("PersistentVolume", "stolen", "", &volume("csi.dlf.dev")),
            format!("PersistentVolume stolen: {labelled}"),
        ),
        (
            "default",
            object("PersistentVolume", "stolen", OURS, &volume("ebs.csi.aws.com")),
            "PersistentVolume stolen of driver ebs.csi.aws.com: the operator makes volumes of driver csi.dlf.dev"
                .to_owned(),
        ),
        (
            "default",
            object("PersistentVolume", "stolen", OURS, host),
            "PersistentVolume stolen of driver (not CSI)".to_owned(),
        ),
    ] {
        let refused = make(namespace, &manifest).expect_refused();
        contains(&refused, &said).unwrap_or_else(|error| panic!("{manifest}: {error}"));
        contains(&refused, "use another account for this").unwrap();
    }
    for manifest in [
        object("Secret", "its", OURS, "}"),
        object("PersistentVolume", "its", OURS, &volume("csi.dlf.dev")),
    ] {
        let _ = make("default", &manifest).expect_ok();
    }
}

#[test]
fn the_operators_token_changes_and_deletes_nothing_that_is_somebody_elses() {
    let tenant = Tenant::new("token");
    let namespace = &tenant.namespace;
    for kind in ["secret generic", "configmap"] {
        let kind: Vec<&str> = kind.split(' ').collect();
        let create = [&["create"], &kind[..], &["foreign", "--from-literal=a=b"]].concat();
        let _ = namespace.kubectl(&create).expect_ok();
    }
    let volume = format!("{}-foreign", namespace.name);
    let spec =
        "}\nspec: {accessModes: [ReadWriteOnce], capacity: {storage: 1Gi}, hostPath: {path: /tmp}}";
    let _volume = OfCluster::make(
        "pv",
        &volume,
        &object("PersistentVolume", &volume, "", spec),
    );
    let said = "the operator writes and deletes what Datasets made (label dlf.dev/dataset-uid";
    for (kind, name) in [
        ("secret", "foreign"),
        ("configmap", "foreign"),
        ("pv", &volume),
    ] {
        let delete = ["delete", kind, name, "--wait=false", "--as", OPERATOR];
        contains(&namespace.kubectl(&delete).expect_refused(), said).unwrap();
        // A label that it gives to it itself does not make it its own.
        let label = r#"{"metadata":{"labels":{"dlf.dev/dataset-uid":"u"}}}"#;
        let patch = ["patch", kind, name, "-p", label, "--as", OPERATOR];
        contains(&namespace.kubectl(&patch).expect_refused(), said).unwrap();
    }
}

/// Rights as they are while `helm uninstall` runs its Job.
const UNINSTALLING: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: uninstalls}\nrules:\n\
    - {apiGroups: [''], resources: [secrets], verbs: [delete]}\n---\n\
    apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: uninstalls}\n\
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: uninstalls}\nsubjects:\n\
    - {kind: ServiceAccount, name: dlf-uninstall, namespace: dlf-system}\n";

#[test]
fn uninstalling_deletes_what_has_our_label_whatever_it_is_and_nothing_else() {
    let (tenant, bucket) = (Tenant::new("leftover"), Bucket::new("leftover"));
    let namespace = &tenant.namespace;
    let books = dataset("books", &bucket.name, "");
    let _ = namespace
        .apply(&format!("{UNINSTALLING}---\n{books}"))
        .expect_ok();
    namespace.wait_dataset("books");
    let _ = namespace
        .kubectl(&["create", "secret", "generic", "foreign"])
        .expect_ok();
    // Made by a tenant, so that uninstalling fails if it can.
    let odd = object("Secret", "odd", OURS, "}\ntype: example.com/odd");
    let _ = tenant.apply(&odd).expect_ok();
    let delete = |name: &str| {
        let delete = [
            "delete",
            "secret",
            name,
            "--dry-run=server",
            "--as",
            UNINSTALL,
        ];
        namespace.kubectl(&delete)
    };
    for name in ["books", "books-source", "odd"] {
        let _ = delete(name).expect_ok();
    }
    contains(
        &delete("foreign").expect_refused(),
        &format!(
            "Secret {}/foreign: the operator writes and deletes",
            namespace.name
        ),
    )
    .unwrap();
}
