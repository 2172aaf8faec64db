use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Answers by what the question says: `loop` never, `late` after a minute, `die` by an end, all else at once.
#[derive(Default)]
struct Scripted {
    calls: AtomicUsize,
    resets: AtomicUsize,
}

#[async_trait]
impl Channel for Scripted {
    async fn call(&self, question: Question) -> Result<Vec<u8>, Fault> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match question.message.as_slice() {
            b"loop" => std::future::pending().await,
            b"slow" => {
                tokio::time::sleep(Duration::from_secs(2)).await;
                Ok(vec![])
            }
            b"die" => Err(Fault::Ended("it exited with 1".to_owned())),
            b"told" => {
                let error = Fault::Late(ANSWER).error();
                Ok(serde_json::to_vec(&dlf_core::plugin::Reply::Error(error)).unwrap())
            }
            b"away" => Err(Fault::Unreachable("refused".to_owned())),
            _ => Ok(b"{}".to_vec()),
        }
    }

    async fn reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
    }
}

fn guarded(limits: Limits) -> (Arc<Scripted>, Guard) {
    let inner = Arc::<Scripted>::default();
    let channel = Arc::clone(&inner) as Arc<dyn Channel>;
    (inner, Guard::new("x", channel, limits, Metrics::default()))
}

impl Scripted {
    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

fn whose(name: &str) -> Whose {
    Whose {
        namespace: "team-a".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-{name}"),
    }
}

fn about(name: &str, message: &str) -> Question {
    Question {
        message: message.into(),
        dataset: Some(whose(name)),
    }
}

/// What is left of the pause that a refusal tells of.
fn left(fault: &Fault) -> Duration {
    fault.error().again_in.expect("it says when")
}

#[tokio::test(start_paused = true)]
async fn a_dataset_that_hangs_is_named_and_holds_the_others_for_one_deadline() {
    let (inner, guard) = guarded(Limits::default());
    let guard = Arc::new(guard);
    let began = Instant::now();
    let books = tokio::spawn({
        let guard = Arc::clone(&guard);
        async move { guard.call(about("books", "loop")).await }
    });
    tokio::task::yield_now().await;
    let others = (0..20).map(|number| {
        let guard = Arc::clone(&guard);
        tokio::spawn(async move { guard.call(about(&number.to_string(), "well")).await })
    });
    for other in others.collect::<Vec<_>>() {
        assert!(other.await.unwrap().is_ok());
    }
    assert_eq!(began.elapsed(), ANSWER);
    let fault = books.await.unwrap().unwrap_err().error();
    assert_eq!(fault.reason, "PluginTimeout");
    let expected = "its plan for team-a/books failed: it gave no answer within 5 s; it is asked for again at 2";
    assert!(fault.message.starts_with(expected), "{}", fault.message);
    assert_eq!(inner.resets.load(Ordering::Relaxed), 1);
    assert_eq!(guard.fault(), None, "it plans for the others");
    let culprits = guard.culprits();
    assert_eq!(culprits.len(), 1);
    assert_eq!(
        (culprits[0].dataset.as_str(), culprits[0].times),
        ("team-a/books", 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_dataset_is_asked_for_again_when_it_was_said_and_not_before() {
    let (inner, guard) = guarded(Limits::default());
    let mut last = Duration::ZERO;
    for times in 1..=10 {
        let failed = guard.call(about("books", "die")).await.unwrap_err();
        assert_eq!(inner.calls(), times);
        assert!(guard.call(about("others", "well")).await.is_ok());
        inner.calls.fetch_sub(1, Ordering::Relaxed);
        let pause = left(&failed);
        let longest = Duration::from_mins(3);
        assert!(
            (Duration::from_secs(5)..=longest).contains(&pause),
            "{pause:?}"
        );
        assert!(
            pause > last || pause >= Duration::from_mins(2),
            "{pause:?} after {last:?}"
        );
        last = pause;
        tokio::time::advance(pause.saturating_sub(Duration::from_millis(1))).await;
        let refused = guard.call(about("books", "die")).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            failed.to_string(),
            "one time, whenever it is read"
        );
        assert_eq!(refused.error().reason, "PluginCrashed");
        assert_eq!(inner.calls(), times);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert!(guard.call(about("books", "well")).await.is_ok());
    assert_eq!(guard.culprits(), []);
    let first = guard.call(about("books", "die")).await.unwrap_err();
    assert!(left(&first) < Duration::from_secs(8), "it begins anew");
}

#[tokio::test(start_paused = true)]
async fn one_dataset_never_has_the_whole_plugin_left_alone() {
    let (_, guard) = guarded(Limits::default());
    for _ in 0..20 {
        let failed = guard.call(about("books", "told")).await.unwrap_err();
        assert!(failed.to_string().contains("team-a/books"), "{failed}");
        tokio::time::advance(left(&failed)).await;
    }
    assert!(guard.call(about("others", "well")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_fails_over_everything_is_left_alone_and_asked_again() {
    for (message, why) in [("die", "exited with 1"), ("away", "refused")] {
        let (inner, guard) = guarded(Limits::default());
        for number in 0..20 {
            assert!(
                guard
                    .call(about(&number.to_string(), message))
                    .await
                    .is_err()
            );
        }
        assert_eq!(inner.calls(), 3, "no more than it takes to know");
        let refused = guard.call(about("another", message)).await.unwrap_err();
        let said = refused.error();
        assert_eq!(said.reason, "PluginUnavailable");
        assert!(said.message.contains(why), "{}", said.message);
        assert!(
            !said.message.contains("team-a"),
            "others are named: {}",
            said.message
        );
        assert!(guard.fault().is_some());
        let pause = left(&refused);
        tokio::time::advance(pause).await;
        for number in 20..25 {
            assert!(
                guard
                    .call(about(&number.to_string(), message))
                    .await
                    .is_err()
            );
        }
        assert_eq!(inner.calls(), 4, "one call finds out");
        let longer = guard.call(about("another", message)).await.unwrap_err();
        assert!(left(&longer) > pause, "{longer}");
        tokio::time::advance(left(&longer)).await;
        assert!(guard.call(about("another", "well")).await.is_ok());
        assert_eq!(guard.fault(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_or_is_one_too_many_is_told_that_others_are_before() {
    let limits = Limits {
        concurrency: 2,
        patience: Duration::from_secs(1),
        ..Limits::default()
    };
    let (_, guard) = guarded(limits);
    let (first, second, third) = tokio::join!(
        guard.call(about("first", "slow")),
        guard.call(about("second", "well")),
        guard.call(about("third", "well"))
    );
    assert!(first.is_ok());
    assert_eq!(second, Err(Fault::Busy(2)));
    assert_eq!(third, Err(Fault::Busy(2)));
    assert_eq!(guard.culprits(), []);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_cut_off_is_not_taken_for_the_next_ones_fault() {
    let (inner, guard) = guarded(Limits::default());
    let cut_off = timeout(Duration::from_secs(1), guard.call(about("books", "loop"))).await;
    assert!(cut_off.is_err());
    assert!(guard.call(about("others", "well")).await.is_ok());
    assert_eq!(inner.resets.load(Ordering::Relaxed), 1);
}
