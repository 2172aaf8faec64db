//! The ports of our programs, dialled from a tenant's pod.

use std::time::{Duration, Instant};

use dlf_tests::{
    DATASETS, NAMED_WITHIN, POD_WITHIN, SLEEP, contains, eventually, kubectl, list, pod, settings,
};
use serde_json::{Value, json};

use crate::tenant::{Neighbour, Tenant};

/// A tenant with a pod that he sends from.
fn caller(purpose: &str) -> Tenant {
    let tenant = Tenant::new(purpose);
    let account = "  serviceAccountName: tenant\n";
    let _ = tenant
        .apply(&pod("caller", "app: caller", SLEEP, account))
        .expect_ok();
    tenant.namespace.wait_ready("caller", POD_WITHIN);
    tenant
}

/// `(name, address)` of our pods of a component.
fn ours(component: &str) -> Vec<(String, String)> {
    let label = format!("app.kubernetes.io/component={component}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list("pods", "dlf-system", &label)
        .iter()
        .map(|pod| {
            (
                text(&pod["metadata"]["name"]),
                text(&pod["status"]["podIP"]),
            )
        })
        .filter(|(_, address)| !address.is_empty())
        .collect()
}

/// A field of a protobuf message that has a length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length > 0x7f {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend(content);
    bytes
}

/// Streams with a token that nobody gave out, all at once.
const GUESSES: usize = 24;
/// Four of them are looked at, and four more a second later, and so on.
const GUESSED_AT_BEST: Duration = Duration::from_secs(5);

/// A hello with this name and token, which node driver and worker begin with, as gRPC sends it; in
/// the words of printf.
fn hello(name: &str, token: &str) -> String {
    let token = field(2, &field(1, token.as_bytes()));
    let message = field(1, &[field(1, name.as_bytes()), token].concat());
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let frame = [&[0][..], &length, &message].concat();
    let words: Vec<String> = frame.iter().map(|byte| format!("\\{byte:03o}")).collect();
    words.concat()
}

/// Calls a method of the nodes' stream; gives head, body and trailers of the answer.
fn call(tenant: &Tenant, address: &str, method: &str, hello: &str) -> String {
    let script = format!(
        "printf '{hello}' > /tmp/hello; curl -sk --http2 --max-time 15 -H 'content-type: application/grpc' \
         -H 'te: trailers' --data-binary @/tmp/hello -D - https://{address}:9444/dlf.nodes.v1.Nodes/{method} | tr -d '\\r'"
    );
    tenant.namespace.exec("caller", &script).text
}

#[test]
fn the_nodes_stream_is_for_our_own_programs_alone() {
    let neighbour = Neighbour::new("streamed");
    let tenant = caller("streaming");
    let node = tenant.namespace.get("pod", "caller")["spec"]["nodeName"].clone();
    let node = node.as_str().unwrap();
    let its_own = tenant.namespace.exec(
        "caller",
        "cat /var/run/secrets/kubernetes.io/serviceaccount/token",
    );
    let tokens = [
        ("none", String::new()),
        ("no token", "eyJhbGciOiJub25lIn0.e30.".to_owned()),
        ("the pod's", its_own.expect_ok()),
        ("for us, the tenant's", tenant.token("dlf-operator")),
    ];
    let worker = ours("worker").remove(0).0;
    for (method, name) in [("Attach", node), ("Work", &worker)] {
        for (what, token) in &tokens {
            // The leader refuses; who does not lead says so, and for a moment nobody may.
            let refused = eventually("the leader to answer", NAMED_WITHIN, || {
                let answers: Vec<String> = ours("operator")
                    .iter()
                    .map(|(_, address)| call(&tenant, address, method, &hello(name, token)))
                    .collect();
                let of_leader = answers.iter().find(|answer| !is_of_follower(answer));
                of_leader.cloned().ok_or_else(|| answers.concat())
            });
            contains(&refused, "grpc-status: 16")
                .unwrap_or_else(|error| panic!("{method}, {what}: {error}"));
            assert!(!refused.contains(&neighbour.uid), "{refused}");
        }
    }
    // Whoever looks after the cluster finds it in the log, and no token.
    let user = format!("system:serviceaccount:{}:tenant", tenant.namespace.name);
    eventually("the log to name the tenant", NAMED_WITHIN, || {
        let logs: Vec<String> = ours("operator").iter().map(|(pod, _)| log(pod)).collect();
        let logs = logs.concat();
        assert!(!logs.contains(&tokens[3].1), "the log has a token");
        contains(&logs, &user).map_err(|_| "it does not".to_owned())
    });
    neighbour.is_unharmed();
}

#[test]
fn bad_tokens_of_one_pod_are_looked_at_four_times_a_second() {
    let tenant = caller("guessing");
    let guess = hello("n", "guessed");
    let leader = eventually("the leader to answer", NAMED_WITHIN, || {
        let mut addresses = ours("operator").into_iter().map(|(_, address)| address);
        let leads = |address: &String| !is_of_follower(&call(&tenant, address, "Attach", &guess));
        addresses.find(leads).ok_or_else(|| "none does".to_owned())
    });
    let script = format!(
        "for guess in $(seq {GUESSES}); do curl -sk --http2 --max-time 30 -H 'content-type: application/grpc' \
         -H 'te: trailers' --data-binary @/tmp/hello -D - https://{leader}:9444/dlf.nodes.v1.Nodes/Attach & done; wait"
    );
    let began = Instant::now();
    let answers = tenant.namespace.exec("caller", &script).expect_ok();
    let took = began.elapsed();
    assert_eq!(
        answers.matches("grpc-status: 16").count(),
        GUESSES,
        "{answers}"
    );
    assert!(took >= GUESSED_AT_BEST, "{took:?}");
}

/// Nothing is an answer as well: a replica may just be starting.
fn is_of_follower(answer: &str) -> bool {
    answer.is_empty() || answer.contains("not%20the%20leader")
}

fn log(pod: &str) -> String {
    kubectl(&["-n", "dlf-system", "logs", pod, "--since=10m"]).expect_ok()
}

/// Sends a review to a path of the webhook; gives the answer.
fn review(tenant: &Tenant, path: &str, request: &Value) -> String {
    let review = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request });
    let script = format!(
        "curl -sk --max-time 15 -H 'content-type: application/json' -d '{review}' \
         https://dlf-webhook.dlf-system.svc/{path}"
    );
    tenant.namespace.exec("caller", &script).expect_ok()
}

#[test]
fn a_forged_review_changes_nothing_and_tells_no_key() {
    let neighbour = Neighbour::new("reviewed");
    let tenant = caller("reviewing");
    let namespace = &neighbour.tenant.namespace.name;
    let operator = "system:serviceaccount:dlf-system:dlf-operator";
    let before = neighbour.tenant.namespace.get(DATASETS, "books")["spec"].clone();
    let request = |kind: &str, object: Value| {
        json!({
            "uid": "forged", "operation": "CREATE", "namespace": namespace, "name": "books",
            "userInfo": { "username": operator }, "resource": { "group": "", "version": "v1", "resource": kind },
            "object": object,
        })
    };
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "forged", "labels": { "dataset.0.id": "books", "dataset.0.useas": "mount.configmap" } },
        "spec": { "containers": [{ "name": "main", "image": "none" }] },
    });
    let internal = json!({
        "apiVersion": "com.ie.ibm.hpsys/v1alpha1", "kind": "DatasetInternal", "metadata": { "name": "forged" },
        "spec": { "local": { "type": "COS", "endpoint": "http://10.0.0.1", "bucket": "books" } },
    });
    let answers = [
        review(&tenant, "mutate/pods", &request("pods", pod)),
        review(
            &tenant,
            "validate/datasetsinternal",
            &request("datasetsinternal", internal),
        ),
        review(
            &tenant,
            "validate/datasets",
            &request(
                "datasets",
                json!({ "metadata": { "name": "books" }, "spec": {} }),
            ),
        ),
        review(&tenant, "mutate/pods", &json!("nonsense")),
    ];
    contains(&answers[0], "\"allowed\":true").unwrap();
    for answer in &answers {
        for secret in [settings().get("S3_SECRET"), neighbour.bucket.name.clone()] {
            assert!(!answer.contains(&secret), "{answer}");
        }
    }
    // An answer is all there is: nobody asked the API server for anything.
    let owner = &neighbour.tenant.namespace;
    for kind in ["pod", "datasetsinternal.com.ie.ibm.hpsys"] {
        assert_eq!(owner.find(kind, "forged"), None);
    }
    assert_eq!(owner.get(DATASETS, "books")["spec"], before);
    neighbour.is_unharmed();
}

/// Opens so many connections and holds them for a while.
const CROWD: &str = "ulimit -n 2048; for i in $(seq $2); do exec {one}<>/dev/tcp/$0/$1; done; \
    touch /tmp/crowd-$1; exec sleep 30";

/// Connections that a replica has closed since their address held too many.
fn refused(replica: &str) -> u64 {
    let path = format!("/api/v1/namespaces/dlf-system/pods/{replica}:8080/proxy/metrics");
    let metrics = kubectl(&["get", "--raw", &path]).expect_ok();
    let mut lines = metrics.lines();
    let count = lines.find_map(|line| line.strip_prefix("dlf_connections_refused_total "));
    count.unwrap_or_default().parse().unwrap()
}

#[test]
fn the_connections_of_one_pod_leave_room_for_others() {
    let tenant = caller("crowding");
    let other = caller("asking");
    let (replica, address) = ours("operator").remove(0);
    for (port, opened, may_hold, asked) in [
        (8080, 100, 64, format!("http://{address}:8080/livez")),
        (9443, 1100, 1024, format!("https://{address}:9443/")),
    ] {
        let before = refused(&replica);
        let crowd = format!("bash -c '{CROWD}' {address} {port} {opened} > /tmp/why 2>&1 &");
        let _ = tenant.namespace.exec("caller", &crowd).expect_ok();
        eventually("the crowd to be there", NAMED_WITHIN, || {
            let there = format!("cat /tmp/why; test -e /tmp/crowd-{port}");
            let there = tenant.namespace.exec("caller", &there);
            if there.ok { Ok(()) } else { Err(there.text) }
        });
        let script = format!("curl -sk --max-time 5 -o /dev/null -w '%{{http_code}}' {asked}");
        let answered = other.namespace.exec("caller", &script).expect_ok();
        assert_ne!(answered, "000", "port {port}");
        let closed = refused(&replica) - before;
        assert!(closed >= opened - may_hold, "port {port}: {closed}");
    }
    let its_own = tenant.namespace.get("pod", "caller")["status"]["podIP"].clone();
    contains(&log(&replica), its_own.as_str().unwrap()).unwrap();
}

#[test]
fn what_our_programs_show_of_themselves_names_no_tenant() {
    let neighbour = Neighbour::new("shown");
    neighbour.is_unharmed();
    let tenant = caller("looking");
    let get = |address: &str, port: u16, path: &str| {
        let script = format!("curl -s --max-time 10 http://{address}:{port}/{path}");
        tenant.namespace.exec("caller", &script).text
    };
    let mut shown = String::new();
    for (_, address) in ours("operator") {
        let state = get(&address, 8080, "debug/state");
        contains(&state, "\"leader\"").unwrap();
        shown += &(state + &get(&address, 8080, "metrics"));
    }
    for (component, port) in [("worker", 8080), ("csi", 9808)] {
        for (_, address) in ours(component) {
            let metrics = get(&address, port, "metrics");
            contains(&metrics, "# EOF").unwrap();
            shown += &metrics;
        }
    }
    let secret = settings().get("S3_SECRET");
    for word in [
        &neighbour.uid,
        &neighbour.tenant.namespace.name,
        &neighbour.bucket.name,
        &secret,
    ] {
        assert!(!shown.contains(word.as_str()), "{word} in {shown}");
    }
    // A mounter listens at no address.
    for (_, address) in ours("mounter") {
        let script = format!("curl -s --max-time 3 http://{address}:8080/ || echo refused");
        let answer = tenant.namespace.exec("caller", &script).text;
        assert_eq!(answer, "refused\n");
    }
}
