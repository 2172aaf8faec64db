use super::*;
use crate::{plugin::policy::origins::ORIGINS_MAX, shards::SHARDS_MAX};

fn judge_origins(origins: Vec<CacheOrigin>) -> Result<(), String> {
    let plan = CachingPlan {
        objects: good(),
        origins,
        ..CachingPlan::default()
    };
    check(&plan, &info(), &place(), &decision()).map_err(|error| error.message)
}

fn sharded(shards: &[&str], shard_bytes: u64) -> CacheOrigin {
    let mut origin = CacheOrigin::at("http://c-1.dlf-caches.svc:80");
    origin.shards = shards.iter().map(|shard| (*shard).to_owned()).collect();
    origin.shard_bytes = shard_bytes;
    origin
}

#[test]
fn shards_are_pods_and_services_of_the_plan_only() {
    let pod = "http://c-1-0.c-1.dlf-caches.svc:80";
    let service = "http://c-1.dlf-caches.svc:80";
    assert_eq!(judge_origins(vec![sharded(&[pod, service], 0)]), Ok(()));
    for shard in [
        "http://c-2-0.c-1.dlf-caches.svc:80",
        "http://c-1-0.c-2.dlf-caches.svc:80",
        "http://c-1-0.c-1.kube-system.svc:80",
        "http://evil.c-1-0.c-1.dlf-caches.svc:80",
        "https://c-1-0.c-1.dlf-caches.svc:80",
    ] {
        let refused = judge_origins(vec![sharded(&[shard], 0)]).unwrap_err();
        assert!(refused.contains(shard), "{shard}: {refused}");
    }
}

#[test]
fn origins_shards_and_units_have_bounds() {
    let shard = "http://c-1-0.c-1.dlf-caches.svc:80";
    for (origins, expected) in [
        (vec![sharded(&[], 0); ORIGINS_MAX + 1], "5 origins"),
        (vec![sharded(&[shard; SHARDS_MAX + 1], 0)], "257 shards"),
        (vec![sharded(&[shard], 1)], "shardBytes 1"),
    ] {
        let refused = judge_origins(origins).unwrap_err();
        assert!(refused.contains(expected), "{refused}");
    }
}
