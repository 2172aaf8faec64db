use dlf_wire::dataset::v1::Origin;
use dlf_wire::nodes::v1::{EmptyBucket, ProbeObjectStore, Warm, task};
use proptest::prelude::*;

use super::*;

const FRESH: Freshness = Freshness {
    done: Duration::from_mins(10),
    failed: Duration::from_mins(1),
};
const DONE: Outcome = Outcome::Done {
    created: false,
    deleted: false,
    writes_refused: None,
    read: Amount {
        objects: 0,
        bytes: 0,
    },
    replicas: Vec::new(),
};

fn spec(dataset: &str, endpoint: &str, key_version: &str) -> TaskSpec {
    let origin = Origin {
        endpoint: format!("http://{endpoint}"),
        ..Origin::default()
    };
    TaskSpec {
        dataset: dataset.into(),
        namespace: "ns".into(),
        name: dataset.into(),
        kind: task::Kind::ProbeObjectStore(ProbeObjectStore {
            origin: Some(origin),
            writes: false,
        }),
        key_version: key_version.into(),
    }
}

fn emptying(dataset: &str, endpoint: &str) -> TaskSpec {
    let origin = Some(Origin {
        endpoint: format!("http://{endpoint}"),
        ..Origin::default()
    });
    let kind = task::Kind::EmptyBucket(EmptyBucket {
        origin,
        owner: "uid".into(),
    });
    TaskSpec {
        kind,
        ..spec(dataset, endpoint, "1")
    }
}

/// The dataset that a worker gets next.
fn next(queue: &mut Queue, worker: WorkerId, now: Instant) -> Option<(String, String)> {
    match queue.assign(worker, now)? {
        Assignment::Run { id, spec } => Some((id, spec.name)),
        cancel @ Assignment::Cancel(_) => panic!("{cancel:?}"),
    }
}

fn names(queue: &mut Queue, worker: WorkerId, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| next(queue, worker, now))
        .map(|(_, name)| name)
        .collect()
}

#[test]
fn a_result_is_had_once_and_again_when_it_is_no_longer_fresh() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let worker = queue.join(64);
    assert!(queue.want(spec("a", "s3", "1"), FRESH, now).pending);
    assert!(queue.want(spec("a", "s3", "1"), FRESH, now).pending);
    let (id, _) = next(&mut queue, worker, now).unwrap();
    assert_eq!(
        next(&mut queue, worker, now),
        None,
        "asked twice, done once"
    );
    queue.finish(worker, &id, DONE, now);
    assert_eq!(queue.take_changed(), HashSet::from(["a".into()]));
    let progress = queue.want(spec("a", "s3", "1"), FRESH, now + FRESH.failed);
    assert_eq!(
        (progress.latest.unwrap().outcome, progress.pending),
        (DONE, false)
    );

    let later = now + FRESH.done;
    let progress = queue.want(spec("a", "s3", "1"), FRESH, later);
    assert!(
        progress.pending && progress.latest.is_some(),
        "the old result stands meanwhile"
    );
    let (id, _) = next(&mut queue, worker, later).unwrap();
    queue.finish(worker, &id, failure("AccessDenied", ""), later);
    assert!(
        queue
            .want(spec("a", "s3", "1"), FRESH, later + FRESH.failed)
            .pending
    );
}

#[test]
fn an_endpoint_that_hangs_delays_nobody_else() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let worker = queue.join(64);
    for dataset in 0..100 {
        queue.want(
            spec(&format!("hanging-{dataset}"), "black-hole", "1"),
            FRESH,
            now,
        );
    }
    queue.want(spec("good", "s3", "1"), FRESH, now);
    let started = names(&mut queue, worker, now);
    assert_eq!(started, ["hanging-0", "good", "hanging-1"]);
    assert_eq!(queue.depth(), (98, 3));
}

#[test]
fn where_nobody_answers_those_who_wait_are_told_and_ask_all_the_same() {
    const WHY: &str = "it cannot be reached: refused";
    let (mut queue, now) = (Queue::default(), Instant::now());
    let worker = queue.join(64);
    let of = |bucket: &str| {
        let origin = Origin {
            endpoint: "http://dead".into(),
            bucket: bucket.into(),
            ..Origin::default()
        };
        let kind = task::Kind::ProbeObjectStore(ProbeObjectStore {
            origin: Some(origin),
            writes: false,
        });
        TaskSpec {
            kind,
            ..spec(bucket, "dead", "1")
        }
    };
    let said = |bucket: &str| {
        let message = format!("bucket {bucket} at http://dead: {WHY}");
        Failure::new("Unreachable", message)
    };
    let found = |bucket: &str| Failure {
        unreachable: WHY.to_owned(),
        ..said(bucket)
    };
    for bucket in ["a", "b", "c", "d"] {
        queue.want(of(bucket), FRESH, now);
    }
    let (first, _) = next(&mut queue, worker, now).unwrap();
    queue.finish(worker, &first, Outcome::Failed(found("a")), now);
    // In the words that each would have had itself, and in its turn each finds out for itself.
    for bucket in ["b", "c", "d", "late"] {
        let progress = queue.want(of(bucket), FRESH, now);
        assert_eq!(
            progress.latest.unwrap().outcome,
            Outcome::Failed(said(bucket))
        );
        assert!(progress.pending, "{bucket}");
    }
    let (second, _) = next(&mut queue, worker, now).unwrap();
    queue.finish(worker, &second, DONE, now);
    let (known, new) = (of("c"), of("new"));
    assert_eq!(
        queue.want(known, FRESH, now).latest.unwrap().outcome,
        Outcome::Failed(said("c"))
    );
    assert_eq!(queue.want(new, FRESH, now).latest, None, "somebody answers");
}

#[test]
fn an_endpoints_last_place_is_for_quick_tasks() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let worker = queue.join(64);
    queue.want(emptying("a", "s3"), FRESH, now);
    queue.want(emptying("b", "s3"), FRESH, now);
    assert_eq!(names(&mut queue, worker, now), ["a"]);
    queue.want(spec("c", "s3", "1"), FRESH, now);
    assert_eq!(names(&mut queue, worker, now), ["c"]);
}

#[test]
fn a_worker_gets_no_more_than_it_can_do() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for dataset in 0..200 {
        queue.want(
            spec(&dataset.to_string(), &format!("s3-{dataset}"), "1"),
            FRESH,
            now,
        );
    }
    let (small, greedy) = (queue.join(3), queue.join(u32::MAX));
    assert_eq!(names(&mut queue, small, now).len(), 3);
    assert_eq!(names(&mut queue, greedy, now).len(), PER_WORKER_MAX);
    let idle = queue.join(0);
    assert_eq!(
        next(&mut queue, idle, now),
        None,
        "a worker without room gets nothing"
    );
}

#[test]
fn what_a_lost_worker_did_goes_to_another_but_not_for_ever() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    queue.want(spec("poison", "s3", "1"), FRESH, now);
    for _ in 0..ATTEMPTS_MAX {
        let worker = queue.join(1);
        assert_eq!(names(&mut queue, worker, now), ["poison"]);
        queue.leave(worker, now);
    }
    let worker = queue.join(1);
    assert_eq!(next(&mut queue, worker, now), None);
    let latest = queue
        .want(spec("poison", "s3", "1"), FRESH, now)
        .latest
        .unwrap();
    assert!(matches!(latest.outcome, Outcome::Failed(why) if why.reason == "WorkerLost"));
}

#[test]
fn other_keys_are_another_task_and_end_the_one_before() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let worker = queue.join(64);
    queue.want(spec("a", "s3", "1"), FRESH, now);
    let (old, _) = next(&mut queue, worker, now).unwrap();
    let progress = queue.want(spec("a", "s3", "2"), FRESH, now);
    assert_eq!(progress.latest, None);
    assert_eq!(
        queue.assign(worker, now),
        Some(Assignment::Cancel(old.clone()))
    );
    let (new, _) = next(&mut queue, worker, now).unwrap();
    queue.finish(worker, &old, DONE, now);
    assert_eq!(
        queue.want(spec("a", "s3", "2"), FRESH, now).latest,
        None,
        "too late"
    );
    queue.finish(worker, &new, DONE, now);
    assert!(
        queue
            .want(spec("a", "s3", "2"), FRESH, now)
            .latest
            .is_some()
    );
}

#[test]
fn a_task_the_worker_forgot_is_given_up() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let worker = queue.join(64);
    queue.want(spec("a", "s3", "1"), FRESH, now);
    let (id, _) = next(&mut queue, worker, now).unwrap();
    let due = queue.expire(now).unwrap();
    assert_eq!(queue.expire(due), None);
    let latest = queue.want(spec("a", "s3", "1"), FRESH, due).latest.unwrap();
    assert!(matches!(latest.outcome, Outcome::Failed(why) if why.reason == DEADLINE_EXCEEDED));
    assert_eq!(queue.assign(worker, due), Some(Assignment::Cancel(id)));
    assert_eq!(queue.depth(), (0, 0));
}

fn loading(dataset: &str, endpoint: &str) -> TaskSpec {
    let task::Kind::ProbeObjectStore(probe) = spec(dataset, endpoint, "").kind else {
        panic!("a probe")
    };
    TaskSpec {
        kind: task::Kind::Warm(Warm {
            origins: probe.origin.into_iter().collect(),
            ..Warm::default()
        }),
        ..spec(dataset, endpoint, "")
    }
}

fn objects(objects: u64) -> Amount {
    Amount { objects, bytes: 0 }
}

#[test]
fn loading_goes_on_behind_the_last_key_after_its_turn_and_after_its_worker_has_gone() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let mut worker = queue.join(64);
    let begin = |queue: &mut Queue, worker| match queue.assign(worker, now) {
        Some(Assignment::Run { id, spec }) => match spec.kind {
            task::Kind::Warm(warm) => (id, warm.start_after),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let read = |objects, bytes| Amount { objects, bytes };
    queue.want(loading("a", "s3"), FRESH, now);
    let (id, behind) = begin(&mut queue, worker);
    assert_eq!(behind, "");
    queue.progressed(worker, &id, read(2, 20), "k2".to_owned());
    queue.leave(worker, now);

    worker = queue.join(64);
    let (id, behind) = begin(&mut queue, worker);
    assert_eq!(behind, "k2");
    queue.progressed(worker, &id, read(1, 5), "k3".to_owned());
    queue.finish(worker, &id, failure(DEADLINE_EXCEEDED, ""), now);

    let (id, behind) = begin(&mut queue, worker);
    assert_eq!(behind, "k3");
    let done = Outcome::Done {
        created: false,
        deleted: false,
        writes_refused: None,
        read: read(4, 40),
        replicas: Vec::new(),
    };
    queue.finish(worker, &id, done, now);
    let progress = queue.want(loading("a", "s3"), FRESH, now);
    assert_eq!((progress.done, progress.pending), (read(7, 65), false));

    queue.give_up(&"a".into(), TaskType::Warm);
    let anew = queue.want(loading("a", "s3"), FRESH, now);
    assert_eq!((anew.done, anew.pending), (Amount::default(), true));
}

#[test]
fn emptying_goes_on_after_its_turn_as_long_as_it_gets_on() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let worker = queue.join(64);
    let late = || failure(DEADLINE_EXCEEDED, "");
    queue.want(emptying("a", "s3"), FRESH, now);
    for turn in 1..=3 {
        let (id, _) = next(&mut queue, worker, now).unwrap();
        queue.progressed(worker, &id, objects(1000), String::new());
        assert_eq!(
            queue.want(emptying("a", "s3"), FRESH, now).done,
            objects(turn * 1000)
        );
        queue.finish(worker, &id, late(), now);
        assert!(queue.want(emptying("a", "s3"), FRESH, now).pending);
    }
    let (id, _) = next(&mut queue, worker, now).unwrap();
    queue.finish(worker, &id, late(), now);
    let stuck = queue.want(emptying("a", "s3"), FRESH, now);
    assert_eq!(
        (stuck.pending, stuck.latest.unwrap().outcome),
        (false, late())
    );
}

#[derive(Clone, Debug)]
enum Step {
    Want {
        dataset: u8,
        endpoint: u8,
        keys: u8,
        long: bool,
    },
    Forget(u8),
    Join,
    Leave(usize),
    Assign(usize),
    Finish(usize),
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..6_u8, 0..3_u8, 0..2_u8, any::<bool>()).prop_map(|(dataset, endpoint, keys, long)| {
            Step::Want { dataset, endpoint, keys, long }
        }),
        1 => (0..6_u8).prop_map(Step::Forget),
        1 => Just(Step::Join),
        1 => (0..3_usize).prop_map(Step::Leave),
        5 => (0..3_usize).prop_map(Step::Assign),
        3 => any::<usize>().prop_map(Step::Finish),
        1 => Just(Step::Expire),
    ]
}

/// Nothing is lost, nothing runs beyond the limits, nothing is left behind.
fn check(queue: &Queue) -> Result<(), TestCaseError> {
    let running = |slot: &&Slot| matches!(slot.stage, Stage::Running { .. });
    for (name, endpoint) in &queue.endpoints {
        let here = || queue.slots.values().filter(|slot| slot.endpoint == *name);
        let queued = here().filter(|slot| slot.stage == Stage::Queued).count();
        prop_assert_eq!(endpoint.waiting(), queued);
        prop_assert!(here().filter(running).count() <= PER_ENDPOINT_MAX);
        prop_assert!(
            !endpoint.may_start() || endpoint.in_ring,
            "{} is forgotten",
            name
        );
    }
    for slot in queue
        .slots
        .values()
        .filter(|slot| slot.stage != Stage::Idle)
    {
        prop_assert!(queue.endpoints.contains_key(&slot.endpoint));
    }
    let at_workers: usize = queue
        .workers
        .values()
        .map(|worker| worker.running.len())
        .sum();
    let all = queue.slots.values().filter(running).count();
    prop_assert_eq!((at_workers, queue.overdue.len()), (all, all));
    Ok(())
}

proptest! {
    #[test]
    fn the_index_holds_together_whatever_happens(
        steps in prop::collection::vec(step(), 0..200)
    ) {
        let (mut queue, start) = (Queue::default(), Instant::now());
        let mut workers = Vec::new();
        let mut running: Vec<(WorkerId, String)> = Vec::new();
        for (at, step) in steps.into_iter().enumerate() {
            let now = start + Duration::from_secs(at as u64);
            match step {
                Step::Want { dataset, endpoint, keys, long } => {
                    let (dataset, endpoint) = (dataset.to_string(), endpoint.to_string());
                    let spec = if long {
                        emptying(&dataset, &endpoint)
                    } else {
                        spec(&dataset, &endpoint, &keys.to_string())
                    };
                    queue.want(spec, FRESH, now);
                }
                Step::Forget(dataset) => queue.forget(&dataset.to_string().into()),
                Step::Join => workers.push(queue.join(4)),
                Step::Leave(n) if n < workers.len() => queue.leave(workers.remove(n), now),
                Step::Assign(n) if n < workers.len() => {
                    if let Some(Assignment::Run { id, .. }) = queue.assign(workers[n], now) {
                        running.push((workers[n], id));
                    }
                }
                Step::Finish(n) if !running.is_empty() => {
                    let (worker, id) = running.remove(n % running.len());
                    queue.finish(worker, &id, DONE, now);
                }
                Step::Expire => drop(queue.expire(now)),
                Step::Leave(_) | Step::Assign(_) | Step::Finish(_) => {}
            }
            check(&queue)?;
        }
    }
}
