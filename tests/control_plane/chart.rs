//! What the chart makes of its values, and whether the cluster still has it.

use dlf_tests::{Namespace, Output, contains, helm, kubectl_with, on_our_own_cluster, source};

const CHART: &str = "../deploy/chart";
const HELM: &str = "it needs the test cluster's Helm";

/// The chart as nobody who has no cluster at hand would see it otherwise.
fn template(values: &[&str]) -> Output {
    let options = values.iter().flat_map(|value| ["--set", value]);
    let arguments = ["template", "dlf", CHART].into_iter().chain(options);
    helm(&arguments.collect::<Vec<_>>())
}

/// How often each of these stands in the chart with these values.
fn counted<const N: usize>(values: &[&str], words: [&str; N]) -> [usize; N] {
    let rendered = template(values).expect_ok();
    words.map(|word| rendered.matches(word).count())
}

#[test]
fn a_group_that_is_not_served_is_named_nowhere() {
    if !on_our_own_cluster(HELM) {
        return;
    }
    for (served, other) in [
        ("com.ie.ibm.hpsys", "datashim.io"),
        ("datashim.io", "com.ie.ibm.hpsys"),
    ] {
        let groups = format!("apiGroups={{{served}}}");
        let [own, others] = counted(&[&groups], [served, other]);
        assert!(own > 5, "{served}: {own} times");
        assert_eq!(others, 0, "{other} beside {served}");
        let crds = counted(
            &[&groups, "crds=chart"],
            ["kind: CustomResourceDefinition\n", other],
        );
        assert_eq!(crds, [2, 0], "{served}");
    }
    let refused = template(&["apiGroups={datashim}"]).expect_refused();
    contains(&refused, "/apiGroups/0").unwrap();
}

#[test]
fn a_group_that_has_datasets_is_not_taken_away() {
    if !on_our_own_cluster(HELM) {
        return;
    }
    let namespace = Namespace::new("groups");
    let local = "type: COS, endpoint: \"http://s3.example.com\", bucket: books";
    let dataset = source("books", local).replace("com.ie.ibm.hpsys", "datashim.io");
    let _ = namespace.apply(&dataset).expect_ok();
    let upgrade = |groups: &str| {
        helm(&[
            "upgrade",
            "dlf",
            CHART,
            "--reset-then-reuse-values",
            "--dry-run=server",
            "--set",
            groups,
        ])
    };
    let refused = upgrade("apiGroups={com.ie.ibm.hpsys}").expect_refused();
    for words in [
        "apiGroups: found no datashim.io in it",
        "serve the group too, or delete them first",
    ] {
        contains(&refused, words).unwrap();
    }
    let notes = upgrade("apiGroups={com.ie.ibm.hpsys,datashim.io}").expect_ok();
    contains(&notes, "kubectl get dataset.datashim.io -A").unwrap();
}

#[test]
fn scanners_see_the_crds_and_the_mounter_and_nobody_installs_them_so() {
    if !on_our_own_cluster(HELM) {
        return;
    }
    let kinds = [
        "\nkind: CustomResourceDefinition\n",
        "\n  name: dlf-mounter # the operator",
    ];
    assert_eq!(counted(&[], kinds), [0, 0]);
    assert_eq!(counted(&["crds=chart"], kinds), [4, 0]);
    assert_eq!(counted(&["scan=true"], kinds), [4, 1]);
    let options = ["--reset-then-reuse-values", "--dry-run=server"];
    let install = [
        &["upgrade", "dlf", CHART, "--set", "scan=true"],
        &options[..],
    ]
    .concat();
    contains(&helm(&install).expect_refused(), "scan: found true").unwrap();
}

#[test]
fn what_uninstalling_would_take_datasets_with_stays() {
    if !on_our_own_cluster(HELM) {
        return;
    }
    let words = [
        "kind: CustomResourceDefinition\n",
        "helm.sh/resource-policy: keep\n    argocd.argoproj.io/sync-options: Prune=false\n",
        "verbs: [get, create, patch]\n",
    ];
    assert_eq!(counted(&["crds=chart"], words), [4, 4, 0]);
    assert_eq!(counted(&["crds=operator"], words), [0, 0, 1]);
    assert_eq!(counted(&["crds=elsewhere"], words), [0, 0, 0]);
}

#[test]
fn the_webhook_s_port_and_its_node_s_network_are_the_installer_s_to_choose() {
    if !on_our_own_cluster(HELM) {
        return;
    }
    let words = [
        "containerPort: 10250 }",
        "\"[::]:10250\"",
        "dlf-nodes.dlf-system.svc:9555",
        "{ name: nodes, port: 9555,",
        "prometheus.io/port: \"9090\"",
    ];
    let values = [
        "webhook.port=10250",
        "operator.nodesPort=9555",
        "operator.httpPort=9090",
    ];
    assert_eq!(counted(&values, words), [1, 1, 2, 1, 1]);
    // The node driver is in its node's network whatever is said.
    let words = ["hostNetwork: true\n", "maxSurge: 0"];
    assert_eq!(counted(&[], words), [1, 0]);
    assert_eq!(counted(&["webhook.hostNetwork=true"], words), [2, 1]);
    let refused = template(&["webhook.port=80"]).expect_refused();
    contains(&refused, "/webhook/port").unwrap();
}

/// Of both of a plugin's neighbours: who has an address of the node is found by no selector.
#[test]
fn an_operator_in_its_node_s_network_reaches_plugins() {
    if !on_our_own_cluster(HELM) {
        return;
    }
    let plugin = [
        "plugins.acme.program.image=acme:1",
        "plugins.acme.program.command={/acme}",
        "networkPolicy.nodes={10.0.0.0/16}",
    ];
    let comes = ["from: # the operator comes from its node's address"];
    assert_eq!(counted(&plugin, comes), [0]);
    let values = [&plugin[..], &["webhook.hostNetwork=true"]].concat();
    assert_eq!(counted(&values, comes), [1]);
}

#[test]
fn the_operator_knows_with_what_the_images_of_caches_are_pulled() {
    if !on_our_own_cluster(HELM) {
        return;
    }
    let words = ["DLF_CACHES_IMAGE_PULL_SECRETS\n              value: one,two\n"];
    assert_eq!(counted(&["imagePullSecrets={one,two}"], words), [1]);
    assert_eq!(counted(&[], ["DLF_CACHES_IMAGE_PULL_SECRETS"]), [0]);
}

/// By server-side apply, as those who sync see it; what the operator writes into the webhooks is not the chart's.
#[test]
fn the_cluster_has_what_the_chart_says_and_nobody_changed_it() {
    if !on_our_own_cluster(HELM) {
        return;
    }
    let manifest = helm(&["get", "manifest", "dlf"]).expect_ok();
    let differs = ["diff", "--server-side", "--force-conflicts", "--filename=-"];
    let found = kubectl_with(&differs, &manifest);
    assert!(found.ok, "{}{}", found.text, found.error);
}
