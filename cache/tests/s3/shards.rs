//! A cache that keeps a part of each object on each of its servers.

use std::sync::Arc;

use dlf_cache::{ETag, Location, ObjectStore, Origin, PutCondition, Shards};
use dlf_core::shards::shard_of;

use crate::faults::Scene;
use crate::proxy::Proxy;
use crate::support::{clean, options, pattern};

const UNIT: usize = 256 * 1024;
const UNITS: usize = 48;
/// The last unit is not a whole one.
const LENGTH: usize = UNITS * UNIT - 100;

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:9";

/// A cache that has these servers, and the scene's source.
fn origins(scene: &Scene, shards: &[String]) -> [Origin; 2] {
    let cache = Origin {
        endpoint: NOBODY.parse().unwrap(),
        shards: Some(Shards::new(shards.to_vec(), UNIT as u64).unwrap()),
        ..scene.origin.clone()
    };
    [cache, scene.origin.clone()]
}

/// A store whose cache has these servers, and behind it the scene's source.
fn store(scene: &Scene, shards: &[String]) -> ObjectStore {
    ObjectStore::new(origins(scene, shards).to_vec(), options()).unwrap()
}

/// Index of the server that has a unit, as a plugin computes it.
fn server_of(scene: &Scene, shards: &[String], unit: usize) -> usize {
    let (origin, names) = (&scene.origin, shards.iter().map(String::as_str));
    let key = format!("{}k", origin.prefix);
    shard_of(names, &origin.bucket, &key, unit as u64).unwrap()
}

async fn read(store: &ObjectStore, version: &ETag) -> bytes::Bytes {
    let body = store.get_range("k", 0..u64::MAX, Some(version)).await;
    body.unwrap().collect().await.unwrap()
}

async fn proxies(count: usize) -> (Vec<Proxy>, Vec<String>) {
    let mut proxies = Vec::new();
    for _ in 0..count {
        proxies.push(Proxy::start().await);
    }
    let names = proxies.iter().map(Proxy::endpoint).collect();
    (proxies, names)
}

#[tokio::test]
async fn each_unit_is_asked_of_the_server_that_has_it_and_of_no_other() {
    need_server!("each_unit_is_asked_of_the_server_that_has_it_and_of_no_other");
    let scene = Scene::new().await;
    let bytes = pattern(LENGTH);
    let put = scene.direct.put("k", bytes.clone(), PutCondition::None);
    let version = put.await.unwrap();
    let (servers, names) = proxies(3).await;
    for unit in 0..UNITS {
        let asked = || servers.iter().map(Proxy::connections).collect::<Vec<_>>();
        let mut expected = asked();
        expected[server_of(&scene, &names, unit)] += 1;
        let start = unit * UNIT + 7;
        let range = start as u64..(start + 1_000) as u64;
        let store = store(&scene, &names);
        let body = store.get_range("k", range, Some(&version)).await;
        let read = body.unwrap().collect().await.unwrap();
        assert_eq!(read, bytes[start..start + 1_000]);
        assert_eq!(asked(), expected, "unit {unit}");
    }
    let whole = store(&scene, &names);
    assert!(read(&whole, &version).await == bytes);
    let usage = whole.usage();
    assert_eq!(usage.cached_bytes_read, LENGTH as u64);
    assert_eq!((usage.cache_failures, usage.retries), (0, 0));

    clean(&scene.direct).await;
}

#[tokio::test]
async fn at_another_place_a_server_is_chosen_by_that_places_bucket_and_prefix() {
    need_server!("at_another_place_a_server_is_chosen_by_that_places_bucket_and_prefix");
    let scene = Scene::new().await;
    let bytes = pattern(LENGTH);
    let put = scene.direct.put("k", bytes.clone(), PutCondition::None);
    let version = put.await.unwrap();
    let (servers, names) = proxies(3).await;
    let here = Location::new(&*scene.origin.bucket, &*scene.origin.prefix).unwrap();
    let here = Arc::new(here);
    let elsewhere = |origin: &Origin| Origin {
        bucket: "elsewhere".to_owned(),
        prefix: "nowhere/".to_owned(),
        ..origin.clone()
    };
    let origins = origins(&scene, &names).map(|origin| elsewhere(&origin));
    for unit in 0..UNITS {
        let asked = || servers.iter().map(Proxy::connections).collect::<Vec<_>>();
        let mut expected = asked();
        expected[server_of(&scene, &names, unit)] += 1;
        let start = (unit * UNIT) as u64;
        let store = ObjectStore::new(origins.to_vec(), options()).unwrap();
        let store = store.at(Some(&here));
        let body = store.get_range("k", start..start + 9, Some(&version));
        let read = body.await.unwrap().collect().await.unwrap();
        assert_eq!(read, bytes[unit * UNIT..unit * UNIT + 9]);
        assert_eq!(asked(), expected, "unit {unit}");
        assert_eq!(store.usage().cached_bytes_read, 9);
    }
    clean(&scene.direct).await;
}

#[tokio::test]
async fn what_a_dead_server_has_comes_from_the_source_and_all_else_from_the_others() {
    need_server!("what_a_dead_server_has_comes_from_the_source_and_all_else_from_the_others");
    let scene = Scene::new().await;
    let bytes = pattern(LENGTH);
    let put = scene.direct.put("k", bytes.clone(), PutCondition::None);
    let version = put.await.unwrap();
    let (_servers, mut names) = proxies(2).await;
    names.push(NOBODY.to_owned());
    let dead_ones = (0..UNITS).filter(|unit| server_of(&scene, &names, *unit) == 2);
    let length = |unit: usize| (LENGTH - unit * UNIT).min(UNIT) as u64;
    let dead: u64 = dead_ones.map(length).sum();
    assert!(dead > 0, "the dead server has none of {UNITS} units");

    let store = store(&scene, &names);
    assert!(read(&store, &version).await == bytes);
    let usage = store.usage();
    assert_eq!(usage.bytes_read, LENGTH as u64);
    assert_eq!(usage.cached_bytes_read, LENGTH as u64 - dead);
    assert!(usage.cache_failures > 0 && usage.errors == 0, "{usage:?}");

    clean(&scene.direct).await;
}
