use dlf_core::plugin::{CacheStats, Call, EndpointStatus, Message, Warm, policy};

use super::*;
use crate::caching;

/// Of two replicas.
fn request(capacity_bytes: u64) -> CachingRequest {
    let golden = include_str!("../../tests/v2/plan-caching.json");
    let message: Message = serde_json::from_str(golden).unwrap();
    let Call::PlanCaching(mut request) = message.call else {
        panic!("the fixture is another call")
    };
    request.decision.capacity_bytes = capacity_bytes;
    request.observed.objects.clear();
    *request
}

/// Plans, as the host would let it.
fn plan(request: &CachingRequest, class: Option<&str>) -> CachingPlan {
    let plan = Server::new(request, "proxy:1", 80)
        .file("a", "b")
        .storage_class(class)
        .plan();
    let info = caching("proxy", "1").plans_servers().build();
    policy::check(&plan, &info, &request.place, &request.decision).unwrap();
    plan
}

#[test]
fn a_storage_class_makes_a_claim_for_each_replica() {
    let request = request(1600);
    let plan = plan(&request, Some("fast"));
    let set = &plan.objects[0];
    assert_eq!(set["kind"], "StatefulSet");
    let claim = &set["spec"]["volumeClaimTemplates"][0]["spec"];
    assert_eq!(claim["storageClassName"], "fast");
    assert_eq!(claim["resources"]["requests"]["storage"], "900");
    let volumes = set["spec"]["template"]["spec"]["volumes"].to_string();
    assert!(!volumes.contains("\"cache\""), "{volumes}");
    let selected = &set["spec"]["selector"]["matchLabels"];
    assert_eq!(selected, &set["spec"]["template"]["metadata"]["labels"]);
}

#[test]
fn what_is_to_be_in_memory_is_on_no_claim() {
    let mut request = request(1600);
    request.decision.medium = Medium::Memory;
    let plan = plan(&request, Some("fast"));
    assert_eq!(plan.objects[0]["kind"], "Deployment");
    let volume = &plan.objects[0]["spec"]["template"]["spec"]["volumes"][0]["emptyDir"];
    assert_eq!(volume["medium"], "Memory");
}

#[test]
fn another_claim_is_another_set_and_nothing_else_is() {
    let name = |bytes, class| {
        let name = &plan(&request(bytes), class).objects[0]["metadata"]["name"];
        name.as_str().unwrap_or_default().to_owned()
    };
    let first = name(1600, Some("fast"));
    assert_eq!(first, name(1600, Some("fast")));
    assert!(first != name(3200, Some("fast")) && first != name(1600, Some("slow")));
    assert_eq!(name(1600, None), "cache-1-2-3");
    assert_eq!(name(3200, None), "cache-1-2-3");
}

#[test]
fn what_serves_is_the_workload_that_is_planned() {
    for class in [None, Some("fast")] {
        let mut request = request(1600);
        let mut workload = plan(&request, class).objects[0].clone();
        workload["status"] = json!({ "readyReplicas": 1 });
        request.observed.objects = vec![workload];
        assert_eq!(plan(&request, class).origins.len(), 1);
        request.decision.capacity_bytes *= 2;
        assert_eq!(plan(&request, class).origins.is_empty(), class.is_some());
    }
}

#[test]
fn shards_are_the_pods_of_a_set_that_has_their_names() {
    let mut request = request(1600);
    let plan_of = |request: &CachingRequest| {
        let server = Server::new(request, "proxy:1", 80).sharded(1 << 20);
        server.unsigned().plan()
    };
    let first = plan_of(&request);
    let [set, _, names] = &first.objects[..] else {
        panic!("{:?}", first.objects)
    };
    assert_eq!(set["kind"], "StatefulSet");
    assert_eq!(set["spec"]["serviceName"], names["metadata"]["name"]);
    assert_eq!(names["spec"]["clusterIP"], "None");
    let mut running = set.clone();
    running["status"] = json!({ "readyReplicas": 1 });
    request.observed.objects = vec![running];
    let plan = plan_of(&request);
    let info = caching("proxy", "1").plans_servers().build();
    policy::check(&plan, &info, &request.place, &request.decision).unwrap();
    let origin = &plan.origins[0];
    let name = set["metadata"]["name"].as_str().unwrap();
    let shard = |number| format!("http://{name}-{number}.cache-1-2-3-shards.dlf-caches.svc:80");
    assert_eq!(origin.shards, [shard(0), shard(1)]);
    assert_eq!(
        (origin.shard_bytes, origin.keys),
        (1 << 20, CacheKeys::None)
    );

    request.decision.replicas = 1;
    let alone = plan_of(&request);
    assert_eq!(alone.objects[0]["kind"], "Deployment");
    assert_eq!(alone.objects.len(), 2);
}

#[test]
fn a_server_says_how_it_does_and_is_filled_ahead_once_it_serves() {
    let mut request = request(1600);
    request.decision.warm = Some(Warm::default());
    let plan_of = |request: &CachingRequest| {
        let server = Server::new(request, "proxy:1", 80).status_path("/status");
        server.sharded(1 << 20).plan()
    };
    let first = plan_of(&request);
    assert!(first.status_endpoints.is_empty() && first.tasks.is_empty());
    let container = &first.objects[0]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["env"][0]["name"], "NODE_NAME");
    let mut running = first.objects[0].clone();
    running["status"] = json!({ "readyReplicas": 2 });
    request.observed.objects = vec![running];
    request.observed.status = vec![EndpointStatus {
        endpoint: String::new(),
        stats: Some(CacheStats {
            used_bytes: 1,
            node: "n1".to_owned(),
            ..CacheStats::default()
        }),
        failure: String::new(),
    }];
    let plan = plan_of(&request);
    let info = caching("proxy", "1").plans_servers().build();
    policy::check(&plan, &info, &request.place, &request.decision).unwrap();
    assert_eq!(plan.tasks, [CacheTask::Warm(Warm::default())]);
    assert_eq!(plan.placements, ["n1"]);
    let shards = plan.origins[0].shards.iter();
    let asked: Vec<String> = shards.map(|shard| format!("{shard}/status")).collect();
    assert_eq!(plan.status_endpoints, asked);
}

#[test]
fn keys_of_the_source_are_files_where_there_are_some() {
    let info = caching("proxy", "1").plans_servers().needs_source_keys();
    let info = info.build();
    for key_secret in [Some("cache-1-2-3-source".to_owned()), None] {
        let mut request = request(1600);
        request.place.key_secret.clone_from(&key_secret);
        let plan = Server::new(&request, "proxy:1", 80).source_keys().plan();
        policy::check(&plan, &info, &request.place, &request.decision).unwrap();
        let pod = plan.objects[0]["spec"]["template"]["spec"].to_string();
        assert_eq!(pod.contains("/etc/source"), key_secret.is_some(), "{pod}");
    }
}
