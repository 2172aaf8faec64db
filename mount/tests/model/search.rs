//! Many cases, until one is wrong or the time is over.

use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dlf_tests::is_long;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::check::Stage;
use super::step::case;
use crate::support;

/// Seeds that once failed, a line each: the number, and what was wrong then.
const SEEDS: &str = include_str!("seeds.txt");

/// The first seed where nobody asks for a search of their own: `make test` judges a change by the same cases
/// every time, and the long form looks for what nobody has met.
const FIRST_SEED: u64 = 1;

/// How long the three tests search together.
const TIME: Duration = Duration::from_mins(2);
const TIME_OF_LONG_FORM: Duration = Duration::from_mins(15);
const TESTS: u32 = 3;

/// Cases of one test, if they are quicker than anybody thought.
const CASES_MAX: u64 = 1_000_000;

/// Runs of smaller cases, to find the smallest that is wrong, and how long that may take.
const SHRINKS_MAX: u32 = 2_000;
const SHRINK_MS_MAX: u32 = 120_000;

/// `DLF_MODEL_MINUTES`: how long the tests search together. `DLF_MODEL_SEED`: the one seed to run.
pub(crate) fn run(test: &str, revalidate_ms: Option<u64>) {
    let Some(server) = support::server(test) else {
        return;
    };
    let stage = RefCell::new(Stage::new(&server, test, revalidate_ms));
    let began = Instant::now();
    if let Some(seed) = number_of("DLF_MODEL_SEED") {
        one(&stage, seed);
        return;
    }
    let kept = SEEDS
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    for seed in kept {
        one(
            &stage,
            seed.parse()
                .expect("a line of seeds.txt begins with a number"),
        );
    }
    let minutes = number_of("DLF_MODEL_MINUTES").map(Duration::from_mins);
    let explores = is_long() || minutes.is_some();
    let time = minutes.unwrap_or(if is_long() { TIME_OF_LONG_FORM } else { TIME }) / TESTS;
    let first = if explores { another_seed() } else { FIRST_SEED };
    let mut cases = 0;
    while began.elapsed() < time && cases < CASES_MAX {
        one(&stage, first + cases);
        cases += 1;
    }
    let stage = stage.into_inner();
    println!(
        "seeds {first} to {}: {cases} cases, {} steps in {:?}, {} cases ended early",
        first + cases - 1,
        stage.steps,
        began.elapsed(),
        stage.ended,
    );
}

/// Runs the case of a seed; panics with the smallest like it that is wrong.
fn one(stage: &RefCell<Stage>, seed: u64) {
    let config = Config {
        max_shrink_iters: SHRINKS_MAX,
        max_shrink_time: SHRINK_MS_MAX,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    let tree = case()
        .new_tree(&mut runner)
        .expect("nothing is refused for ever");
    let check = |case| stage.borrow_mut().check(&case).map_err(TestCaseError::fail);
    match runner.run_one(tree, check) {
        Ok(_) => {}
        Err(TestError::Fail(what, case)) => panic!("seed {seed}: {what}\n{case}"),
        Err(TestError::Abort(what)) => panic!("seed {seed}: {what}"),
    }
}

/// Another one in each run.
fn another_seed() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    u64::try_from(since.as_micros()).unwrap_or_default()
}

fn number_of(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().expect("a number"))
}
