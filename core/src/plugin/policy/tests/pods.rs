use super::*;

#[test]
fn a_pod_that_reaches_beyond_itself_is_refused() {
    let volume = |source: Value| {
        let mut volume = source;
        volume["name"] = json!("v");
        json!([volume])
    };
    let secret = json!({ "secretKeyRef": { "name": "s" } });
    let claim = json!({ "persistentVolumeClaim": { "claimName": "x" } });
    for (key, value, expected) in [
        ("hostNetwork", json!(true), "hostNetwork"),
        ("nodeName", json!("n1"), "nodeName"),
        ("serviceAccountName", json!("admin"), "serviceAccountName"),
        ("automountServiceAccountToken", json!(true), "token"),
        (
            "volumes",
            volume(json!({ "hostPath": { "path": "/" } })),
            "hostPath",
        ),
        (
            "volumes",
            volume(json!({ "secret": { "secretName": "dlf-ca" } })),
            "reads Secret \"dlf-ca\"",
        ),
        (
            "volumes",
            volume(json!({ "configMap": { "name": "c-2" } })),
            "c-2",
        ),
        ("volumes", volume(claim), "persistentVolumeClaim x"),
        ("volumes", volume(json!({ "projected": {} })), "projected"),
        (
            "containers",
            json!([{ "envFrom": [{ "secretRef": { "name": "s" } }] }]),
            "reads Secret \"s\"",
        ),
        (
            "initContainers",
            json!([{ "env": [{ "valueFrom": secret }] }]),
            "needs.sourceKeys",
        ),
        (
            "containers",
            json!([{ "ports": [{ "hostPort": 80 }] }]),
            "hostPort",
        ),
        ("ephemeralContainers", json!([]), "ephemeralContainers"),
    ] {
        refuses(0, &format!("/spec/template/spec/{key}"), value, expected);
    }
}

#[test]
fn a_field_of_a_pod_that_leaves_it_is_refused_with_what_to_do_instead() {
    for (key, value, expected) in [
        ("runtimeClassName", json!("kata"), "nodes' administrator"),
        ("schedulerName", json!("mine"), "affinity"),
        (
            "imagePullSecrets",
            json!([{ "name": "s" }]),
            "those of the chart's value",
        ),
        ("hostAliases", json!([]), "cluster's DNS"),
        ("priority", json!(1000), "may set affinity"),
        ("resourceClaims", json!([]), "may set affinity"),
        ("contaniers", json!([]), "contaniers"),
        ("dnsPolicy", json!("Default"), "dnsPolicy \"Default\""),
        (
            "dnsConfig",
            json!({ "nameservers": ["10.0.0.1"] }),
            "dnsConfig.nameservers",
        ),
        (
            "dnsConfig",
            json!({ "searches": ["evil"] }),
            "dnsConfig.searches",
        ),
    ] {
        refuses(0, &format!("/spec/template/spec/{key}"), value, expected);
    }
}

#[test]
fn where_pods_go_and_how_they_share_is_the_plugins_to_say() {
    for (key, value) in [
        ("dnsPolicy", json!("ClusterFirst")),
        (
            "dnsConfig",
            json!({ "options": [{ "name": "ndots", "value": "1" }] }),
        ),
        ("affinity", json!({})),
        ("tolerations", json!([{ "operator": "Exists" }])),
        ("topologySpreadConstraints", json!([])),
        ("nodeSelector", json!({ "disk": "nvme" })),
        ("shareProcessNamespace", json!(true)),
    ] {
        let mut objects = good();
        objects[0]["spec"]["template"]["spec"][key] = value;
        assert_eq!(judge(objects, None), Ok(()), "{key}");
    }
}

#[test]
fn a_probe_or_a_hook_asks_the_pod_itself() {
    let host = "169.254.169.254";
    for (asked, expected) in [
        (
            json!({ "livenessProbe": { "httpGet": { "host": host, "port": 80 } } }),
            "livenessProbe.httpGet.host",
        ),
        (
            json!({ "readinessProbe": { "tcpSocket": { "host": host, "port": 80 } } }),
            "readinessProbe.tcpSocket.host",
        ),
        (
            json!({ "startupProbe": { "httpGet": { "host": host, "port": 80 } } }),
            "startupProbe.httpGet.host",
        ),
        (
            json!({ "lifecycle": { "postStart": { "tcpSocket": { "host": host, "port": 80 } } } }),
            "lifecycle.postStart.tcpSocket.host",
        ),
        (
            json!({ "lifecycle": { "preStop": { "httpGet": { "host": host, "port": 80 } } } }),
            "lifecycle.preStop.httpGet.host",
        ),
    ] {
        for list in ["containers", "initContainers"] {
            let mut container = asked.clone();
            container["name"] = json!("main");
            let expected = format!("container main of Deployment c-1 has {expected} \"{host}\"");
            refuses(
                0,
                &format!("/spec/template/spec/{list}"),
                json!([container]),
                &expected,
            );
        }
    }
    let mut objects = good();
    objects[0]["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] =
        json!({ "httpGet": { "path": "/", "port": 8080 } });
    assert_eq!(judge(objects, None), Ok(()));
}

#[test]
fn pods_may_read_the_keys_that_were_granted_and_no_other_secret() {
    let judge = |named: &str| {
        let mut objects = good();
        let pod = &mut objects[0]["spec"]["template"]["spec"];
        pod["volumes"] = json!([{ "name": "keys", "secret": { "secretName": named } }]);
        let from = json!({ "secretKeyRef": { "name": named, "key": "accessKeyID" } });
        pod["containers"][0]["env"] = json!([{ "name": "A", "valueFrom": from }]);
        pod["containers"][0]["envFrom"] = json!([{ "secretRef": { "name": named } }]);
        let place = CachePlace {
            key_secret: Some("c-1-source".to_owned()),
            ..place()
        };
        let plan = CachingPlan {
            objects,
            ..CachingPlan::default()
        };
        check(&plan, &info(), &place, &decision()).map_err(|error| error.message)
    };
    assert_eq!(judge("c-1-source"), Ok(()));
    for other in ["c-1", "c-1-source-2", "dlf-ca"] {
        let refused = judge(other).unwrap_err();
        assert!(
            refused.contains(other) && refused.contains("\"c-1-source\""),
            "{refused}"
        );
    }
}
