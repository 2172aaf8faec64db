use super::*;

#[test]
fn a_service_that_leads_elsewhere_is_refused() {
    for (pointer, value, expected) in [
        ("/spec/type", json!("LoadBalancer"), "LoadBalancer"),
        (
            "/spec/externalIPs",
            json!(["1.2.3.4"]),
            "out of the cluster",
        ),
        (
            "/spec/selector",
            json!({ "app": "operator" }),
            "not this cache's",
        ),
        ("/apiVersion", json!("serving.knative.dev/v1"), "knative"),
    ] {
        refuses(1, pointer, value, expected);
    }
}

#[test]
fn reads_go_to_a_service_of_the_plan_only() {
    for endpoint in [
        "http://10.0.0.1:80",
        "https://c-1.dlf-caches.svc:80",
        "http://c-1.kube-system.svc:80",
        "http://c-2.dlf-caches.svc:80",
        "http://c-1.dlf-caches.svc:80@evil:80",
        "http://c-1.dlf-caches.svc:port",
    ] {
        let refused = judge(good(), Some(endpoint)).unwrap_err();
        assert!(
            refused.contains("Service of the plan"),
            "{endpoint}: {refused}"
        );
    }
}

#[test]
fn reads_go_to_a_port_that_the_service_has() {
    let refused = judge(good(), Some("http://c-1.dlf-caches.svc:8081")).unwrap_err();
    assert!(
        refused.contains("Service c-1 has no port 8081; it has 80"),
        "{refused}"
    );
    let mut objects = good();
    objects[1]["spec"].as_object_mut().unwrap().remove("ports");
    let refused = judge(objects, Some("http://c-1.dlf-caches.svc:80")).unwrap_err();
    assert!(refused.contains("it has none"), "{refused}");
}

#[test]
fn a_service_leads_to_a_port_that_its_pods_declare() {
    for (port, expected) in [
        (
            json!({ "port": 80, "targetPort": 9999 }),
            "targetPort 9999, and containers of its pods declare 8080 (http)",
        ),
        (
            json!({ "port": 80, "targetPort": "htpp" }),
            "targetPort \"htpp\"",
        ),
        (json!({ "port": 80 }), "targetPort 80"),
    ] {
        refuses(1, "/spec/ports", json!([port]), expected);
    }
    for good_port in [
        json!({ "port": 80, "targetPort": 8080 }),
        json!({ "port": 8080 }),
    ] {
        let mut objects = good();
        objects[1]["spec"]["ports"] = json!([good_port]);
        assert_eq!(judge(objects, None), Ok(()));
    }
}

#[test]
fn a_container_that_declares_no_port_may_listen_on_any_by_number() {
    let mut objects = good();
    let container = &mut objects[0]["spec"]["template"]["spec"]["containers"][0];
    container.as_object_mut().unwrap().remove("ports");
    objects[1]["spec"]["ports"] = json!([{ "port": 80, "targetPort": 9999 }]);
    assert_eq!(judge(objects.clone(), None), Ok(()));
    objects[1]["spec"]["ports"] = json!([{ "port": 80, "targetPort": "http" }]);
    let refused = judge(objects, None).unwrap_err();
    assert!(refused.contains("declare none"), "{refused}");
}

#[test]
fn a_service_selects_pods_of_the_plan() {
    let selector = json!({ "dlf.dev/cache": "1", "role": "router" });
    refuses(
        1,
        "/spec/selector",
        selector,
        "no pods of the plan carry these labels",
    );
    // Before there are pods, nothing serves, and that is all.
    assert_eq!(judge(vec![good().remove(1)], None), Ok(()));
}
