//! Addresses that DLF does not dial for a tenant, however they are written and whatever leads there.

use dlf_tests::{DATASETS, NAMED_WITHIN, contains, eventually, find, is_given, list, pod, source};

use crate::tenant::{Tenant, unreachable_for};

/// The first real address and port of the API server, as `ADDRESS:PORT`.
pub(crate) fn api_server() -> String {
    let label = "kubernetes.io/service-name=kubernetes";
    let slice = list("endpointslices", "default", label).remove(0);
    let address = slice["endpoints"][0]["addresses"][0].as_str().unwrap();
    format!("{address}:{}", slice["ports"][0]["port"])
}

/// The address of its Service.
pub(crate) fn api_service() -> String {
    let service = find("service", "default", "kubernetes").unwrap();
    service["spec"]["clusterIP"].as_str().unwrap().to_owned()
}

fn node() -> String {
    let node = list("nodes", "", "").remove(0);
    let mut addresses = node["status"]["addresses"].as_array().unwrap().iter();
    let found = addresses.find(|one| one["type"] == "InternalIP").unwrap();
    found["address"].as_str().unwrap().to_owned()
}

fn bucket_at(name: &str, endpoint: &str) -> String {
    source(
        name,
        &format!("type: COS, endpoint: '{endpoint}', bucket: books"),
    )
}

#[test]
fn no_spelling_of_a_forbidden_address_is_dialled() {
    let tenant = Tenant::new("spellings");
    let server = api_server();
    let hidden = server.replace(':', "]:");
    let cases = [
        ("decimal", "http://2130706433:8333"),
        ("hexadecimal", "http://0x7f000001:8333"),
        ("octal", "http://0177.0.0.1:8333"),
        ("short", "http://127.1:8333"),
        ("mapped", "http://[::ffff:127.0.0.1]:8333"),
        ("mapped-hex", "http://[::ffff:7f00:1]:8333"),
        ("loopback6", "http://[::1]:8333"),
        ("localhost", "http://localhost:8333"),
        ("zero", "http://0:8333"),
        ("unspecified6", "http://[::]:8333"),
        ("metadata", "http://169.254.169.254"),
        ("metadata-decimal", "http://2852039166"),
        ("metadata-mapped", "http://[::ffff:a9fe:a9fe]"),
        ("link-local6", "http://[fe80::1]"),
        ("multicast", "http://224.0.0.1"),
        ("service", &format!("https://{}", api_service())),
        ("service-name", "https://kubernetes.default.svc"),
        ("server", &format!("https://{server}")),
        ("server-plain", &format!("http://{server}")),
        ("server-mapped", &format!("https://[::ffff:{hidden}")),
        ("kubelet", &format!("https://{}:10250", node())),
    ];
    let all: Vec<String> = cases.iter().map(|(name, at)| bucket_at(name, at)).collect();
    let waiting = pod("waiting", "dataset.0.id: metadata", "true", "");
    let _ = tenant
        .apply(&[all.join("---\n"), waiting].join("---\n"))
        .expect_ok();
    for (name, _) in &cases {
        unreachable_for(&tenant.namespace, name, "AddressNotAllowed");
    }
    eventually("an event of the pod", NAMED_WITHIN, || {
        contains(&tenant.namespace.events("waiting"), "AddressNotAllowed")
    });
}

#[test]
fn an_endpoint_that_hides_its_host_is_refused() {
    let tenant = Tenant::new("hidden");
    for endpoint in [
        "http://s3.dlf.test@127.0.0.1/",
        "http://s3.dlf.test:80@127.0.0.1",
        "http://s3.dlf.test%40127.0.0.1",
        "http://127.0.0.1#@s3.dlf.test",
        "http://127.0.0.1?@s3.dlf.test",
        "http://127.0.0.1\\@s3.dlf.test",
        "http://127.0.0.1/s3.dlf.test",
        "http://127.0.0.1 .dlf.test",
        "http:127.0.0.1",
        "//127.0.0.1",
        "file:///etc/passwd",
        "unix:///var/run/m.sock",
    ] {
        let refused = tenant.apply(&bucket_at("books", endpoint)).expect_refused();
        contains(&refused, "spec.local.endpoint")
            .unwrap_or_else(|_| panic!("{endpoint}: {refused}"));
    }
}

/// A Service without selector, and what it stands for.
fn service(name: &str, cluster_ip: &str, address: &str, port: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  {cluster_ip}\n  \
         ports: [{{port: 443, targetPort: {port}}}]\n---\n{}",
        slice(name, address, port)
    )
}

fn slice(name: &str, address: &str, port: &str) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}, labels: \
         {{kubernetes.io/service-name: {name}}}}}\naddressType: IPv4\nendpoints: [{{addresses: ['{address}']}}]\n\
         ports: [{{port: {port}}}]\n"
    )
}

#[test]
fn no_name_leads_to_a_forbidden_address() {
    let tenant = Tenant::new("dns");
    let server = api_server();
    let (address, port) = server.split_once(':').unwrap();
    // What a tenant can make himself: another name of a Service.
    let alias = "apiVersion: v1\nkind: Service\nmetadata: {name: alias}\n\
                 spec: {type: ExternalName, externalName: kubernetes.default.svc.cluster.local}\n";
    let _ = tenant.apply(alias).expect_ok();
    let refused = tenant.apply(&slice("headless", address, port));
    contains(&refused.expect_refused(), "forbidden").unwrap();
    // What somebody with more rights could make for him.
    let namespace = &tenant.namespace;
    for special in ["127.0.0.1", "169.254.169.254"] {
        let refused = namespace.apply(&slice("special", special, "80"));
        contains(&refused.expect_refused(), special).unwrap();
    }
    let services = [
        service("headless", "clusterIP: None", address, port),
        service("kubelet", "clusterIP: None", &node(), "10250"),
        service("proxied", "type: ClusterIP", address, port),
    ];
    let _ = namespace.apply(&services.join("---\n")).expect_ok();
    let name = |service: &str| format!("{service}.{}.svc.cluster.local", namespace.name);
    let datasets = [
        bucket_at("alias", &format!("https://{}", name("alias"))),
        bucket_at("headless", &format!("https://{}:{port}", name("headless"))),
        bucket_at("kubelet", &format!("https://{}:10250", name("kubelet"))),
        bucket_at("proxied", &format!("https://{}", name("proxied"))),
        bucket_at("proxied-plain", &format!("http://{}:443", name("proxied"))),
    ];
    let _ = tenant.apply(&datasets.join("---\n")).expect_ok();
    for dataset in ["alias", "headless", "kubelet"] {
        // A name may be known a moment later than its Dataset.
        let kind = format!("{DATASETS}/{dataset}");
        let within = NAMED_WITHIN * 2;
        namespace.await_condition(&kind, "SourceReachable", "False", within, |reason, _| {
            contains(reason, "AddressNotAllowed")
        });
    }
    // Behind a Service's own address nobody sees who answers, but the API server shows a certificate
    // that is not that Service's, and speaks nothing else.
    unreachable_for(namespace, "proxied", "TlsFailed");
    println!("{}", unreachable_for(namespace, "proxied-plain", "NotS3"));
}

#[test]
fn an_nfs_server_is_dialled_by_the_same_rules() {
    if !is_given(&["NFS_SERVER"]) {
        return;
    }
    let tenant = Tenant::new("nfs-rules");
    let server = api_server();
    let (address, port) = server.split_once(':').unwrap();
    let kubelet = node();
    let nfs = |name: &str, server: &str, options: &str| {
        source(
            name,
            &format!("type: NFS, server: '{server}', share: /share, mountOptions: '{options}'"),
        )
    };
    let cases = [
        ("loopback", nfs("loopback", "127.0.0.1", "")),
        ("localhost", nfs("localhost", "localhost", "")),
        ("decimal", nfs("decimal", "2130706433", "")),
        ("mapped", nfs("mapped", "[::ffff:127.0.0.1]", "")),
        ("metadata", nfs("metadata", "169.254.169.254", "")),
        ("server", nfs("server", address, &format!("port={port}"))),
        ("kubelet", nfs("kubelet", &kubelet, "port=10250")),
    ];
    for (name, manifest) in &cases {
        let _ = tenant.apply(manifest).expect_ok();
        unreachable_for(&tenant.namespace, name, "AddressNotAllowed");
    }
    // The kernel would take an address, or a file's owner, from the options.
    let here = dlf_tests::settings().get("NFS_SERVER");
    for (name, option) in [
        ("addr", "addr=127.0.0.1"),
        ("mountaddr", "mountaddr=127.0.0.1"),
        ("clientaddr", "clientaddr=127.0.0.1"),
        ("suid", "suid"),
        ("dev", "dev"),
    ] {
        let user = pod(name, &format!("dataset.0.id: {name}"), "true", "");
        let both = format!("{}---\n{user}", nfs(name, &here, option));
        let applied = tenant.apply(&both);
        if applied.ok {
            eventually(&format!("an event of {name}"), NAMED_WITHIN, || {
                contains(&tenant.namespace.events(name), option)
            });
        } else {
            contains(&applied.error, option).unwrap();
        }
    }
}
