//! Plans of storage plugins that are not compiled in. Each is asked for in a task of its own, so that a
//! plugin that hangs holds up no Dataset of another plugin.

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dlf_core::{
    api::Phase,
    names::volume_handle,
    plugin::{DatasetRef, PlanError, StoragePlan, StorageRequest},
};
use dlf_plugin_host::Plugin;
use futures::FutureExt;
use serde_json::json;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::error::Problem;
use crate::waker::{Name, Waker};

/// What a reconcile waits for a plan. A plugin that is well gives one within milliseconds.
const AT_ONCE: Duration = Duration::from_millis(200);
/// An older plan is asked for anew: the plugin may have been replaced.
const FRESH: Duration = Duration::from_secs(30);
/// Plans that wait for one plugin's turn at a time. The guard before it refuses more.
const CONCURRENCY: usize = 32;

/// Reasons that are a plugin's fault of the moment, and heal with it.
const PASSING: &str = "Plugin";

/// What a plugin answered.
type Answer = Result<StoragePlan, PlanError>;

/// The last answer for each Dataset, by the handle of its volume.
#[derive(Clone, Debug)]
pub struct Plans {
    state: Arc<Mutex<State>>,
    /// Datasets whose answer came when nobody waited for it.
    late: Waker<Name>,
}

#[derive(Debug, Default)]
struct State {
    datasets: HashMap<String, Asked>,
    /// By plugin.
    places: HashMap<String, Arc<Semaphore>>,
}

#[derive(Debug, Default)]
struct Asked {
    /// What was asked, and of whom.
    fingerprint: u64,
    answer: Option<(Instant, Answer)>,
    under_way: bool,
    /// A reconcile went on without the answer.
    missed: bool,
}

impl Plans {
    /// None yet. Datasets are woken through `late` when an answer comes after its reconcile has ended.
    #[must_use]
    pub fn new(late: Waker<Name>) -> Self {
        Self {
            state: Arc::default(),
            late,
        }
    }

    /// What the plugin answers; none while it has not answered this request, and the Dataset is woken when
    /// it does. A plan once made stands while its plugin is away.
    pub async fn get(&self, plugin: &Arc<Plugin>, request: StorageRequest) -> Option<Answer> {
        if plugin.is_built_in() {
            return Some(plan(plugin, &request).await);
        }
        let handle = volume_handle(&request.dataset.uid);
        let fingerprint = fingerprint(plugin, &request);
        if let Some(places) = self.begin(&handle, plugin.name(), fingerprint) {
            let (plans, plugin, handle) = (self.clone(), Arc::clone(plugin), handle.clone());
            let asking = tokio::spawn(async move {
                let answer = in_turn(&places, &plugin, &request).await;
                if plans.answered(&handle, fingerprint, answer) {
                    let DatasetRef {
                        namespace, name, ..
                    } = request.dataset;
                    plans.late.wake(&(namespace, name));
                }
            });
            let _ = timeout(AT_ONCE, asking).await;
        }
        self.last(&handle, fingerprint)
    }

    /// The dataset with this handle has gone.
    pub(super) fn forget(&self, handle: &str) {
        self.lock().datasets.remove(handle);
    }

    /// Where to ask now, if there is something to ask.
    fn begin(&self, handle: &str, plugin: &str, fingerprint: u64) -> Option<Arc<Semaphore>> {
        let mut state = self.lock();
        let asked = state.datasets.entry(handle.to_owned()).or_default();
        if asked.fingerprint != fingerprint {
            *asked = Asked {
                fingerprint,
                ..Asked::default()
            };
        }
        let is_fresh = matches!(&asked.answer, Some((at, Ok(_))) if at.elapsed() < FRESH);
        if is_fresh || asked.under_way {
            return None;
        }
        asked.under_way = true;
        let places = state.places.entry(plugin.to_owned());
        let places = places.or_insert_with(|| Arc::new(Semaphore::new(CONCURRENCY)));
        Some(Arc::clone(places))
    }

    /// The last answer to this request.
    fn last(&self, handle: &str, fingerprint: u64) -> Option<Answer> {
        let mut state = self.lock();
        let asked = state.datasets.get_mut(handle)?;
        if asked.fingerprint != fingerprint {
            return None;
        }
        asked.missed = asked.under_way;
        asked.answer.as_ref().map(|(_, answer)| answer.clone())
    }

    /// Keeps an answer; true when it is news to a reconcile that went on without it.
    fn answered(&self, handle: &str, fingerprint: u64, answer: Answer) -> bool {
        let mut state = self.lock();
        let Some(asked) = state.datasets.get_mut(handle) else {
            return false;
        };
        if asked.fingerprint != fingerprint {
            return false;
        }
        asked.under_way = false;
        let before = asked.answer.take().map(|(_, before)| before);
        let stands = matches!((&before, &answer), (Some(Ok(_)), Err(error)) if is_passing(error));
        let news = !stands && before.as_ref() != Some(&answer);
        let now = if stands { before } else { Some(answer) };
        asked.answer = now.map(|answer| (Instant::now(), answer));
        std::mem::take(&mut asked.missed) && news
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn in_turn(places: &Semaphore, plugin: &Plugin, request: &StorageRequest) -> Answer {
    // The semaphore is never closed.
    let _place = places.acquire().await;
    let planned = AssertUnwindSafe(plan(plugin, request)).catch_unwind();
    planned.await.unwrap_or_else(|_| {
        Err(PlanError::new(
            "PluginCrashed",
            "the code that asks it panicked",
        ))
    })
}

async fn plan(plugin: &Plugin, request: &StorageRequest) -> Answer {
    plugin.storage().await?.plan(request).await
}

fn fingerprint(plugin: &Plugin, request: &StorageRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    plugin.name().hash(&mut hasher);
    plugin.info().map(|info| info.version).hash(&mut hasher);
    json!(request).to_string().hash(&mut hasher);
    hasher.finish()
}

fn is_passing(error: &PlanError) -> bool {
    error.reason.starts_with(PASSING)
}

/// Why there is no plan, for a person.
pub(super) fn problem(plugin: &str, error: PlanError) -> Problem {
    let phase = if is_passing(&error) {
        Phase::Pending
    } else {
        Phase::Failed
    };
    Problem {
        reason: error.reason,
        message: format!("plugin {plugin}: {}", error.message),
        phase,
        again_in: error.again_in,
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use async_trait::async_trait;
    use dlf_core::plugin::{FileSystem, HostPathMount, Mount, Volume};
    use dlf_plugin_host::{
        Config, Connectors, Registry,
        carrier::{
            OPEN,
            socket::{Connect, Stream},
        },
        config::Address,
        metrics::Metrics,
    };
    use serde_json::from_value;

    use super::*;

    /// Connections to a plugin that none is made to.
    struct BlackHole;

    impl Connectors for BlackHole {
        fn isolated(&self, _: Address) -> Box<dyn Connect> {
            Box::new(Self)
        }
    }

    #[async_trait]
    impl Connect for BlackHole {
        async fn connect(&self) -> Result<Box<dyn Stream>, String> {
            pending().await
        }
    }

    fn hanging() -> Registry {
        let section = json!({ "carrier": "isolated", "url": "https://slow:1" });
        let plugins = [("slow".to_owned(), from_value(section).unwrap())];
        let config = Config {
            plugins: plugins.into(),
            ..Config::default()
        };
        Registry::new([], Arc::new(config), &BlackHole, &Metrics::default()).unwrap()
    }

    fn request() -> StorageRequest {
        from_value(json!({
            "dataset": { "namespace": "ns", "name": "books", "uid": "1", "labels": {} },
            "source": { "type": "HOST", "path": "/data", "create": false, "readonly": false },
            "mount": {},
            "intent": "exist",
            "config": null,
        }))
        .unwrap()
    }

    fn plan(path: &str) -> StoragePlan {
        let directory = HostPathMount {
            path: path.to_owned(),
            create: false,
        };
        StoragePlan {
            volume: Volume::Mount(Mount {
                readonly: false,
                file_system: FileSystem::HostPath(directory),
            }),
            config_map: [].into(),
            secret: [].into(),
            tasks: vec![],
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_plugin_that_hangs_holds_a_reconcile_for_a_moment_and_its_fault_wakes_the_dataset() {
        let (plugins, woken) = (hanging(), Waker::default());
        let slow = plugins.plugins().next().unwrap();
        let plans = Plans::new(woken.clone());
        let began = Instant::now();
        assert_eq!(plans.get(slow, request()).await, None);
        assert_eq!(began.elapsed(), AT_ONCE);
        let books = ("ns".to_owned(), "books".to_owned());
        assert_eq!(woken.next().await, Some(books));
        assert_eq!(began.elapsed(), OPEN);
        let fault = plans.get(slow, request()).await.unwrap().unwrap_err();
        assert_eq!(fault.reason, "PluginUnreachable");
    }

    #[test]
    fn a_problem_that_says_when_its_plugin_is_asked_again_is_looked_at_then() {
        let mut error = PlanError::new("PluginTimeout", "it is asked again at noon");
        assert_eq!(problem("slow", error.clone()).again_in, None);
        error.again_in = Some(Duration::from_secs(7));
        assert_eq!(
            problem("slow", error).again_in,
            Some(Duration::from_secs(7))
        );
    }

    const REQUEST: u64 = 1;
    const EDITED: u64 = 2;

    fn plans() -> Plans {
        Plans::new(Waker::default())
    }

    fn begins(plans: &Plans, request: u64) -> bool {
        plans.begin("dlf-1", "slow", request).is_some()
    }

    fn away() -> Answer {
        Err(PlanError::new("PluginTimeout", "no answer"))
    }

    #[test]
    fn who_went_on_without_an_answer_is_woken_by_it_and_only_when_it_is_news() {
        let plans = plans();
        assert!(begins(&plans, REQUEST));
        assert!(!begins(&plans, REQUEST), "it is under way");
        assert_eq!(plans.last("dlf-1", REQUEST), None);
        assert!(plans.answered("dlf-1", REQUEST, away()));
        assert_eq!(plans.last("dlf-1", REQUEST), Some(away()));
        // A fault is asked about again in each turn.
        assert!(begins(&plans, REQUEST));
        assert_eq!(plans.last("dlf-1", REQUEST), Some(away()));
        assert!(!plans.answered("dlf-1", REQUEST, away()), "it is no news");
        assert!(begins(&plans, REQUEST));
        assert!(
            !plans.answered("dlf-1", REQUEST, Ok(plan("/a"))),
            "nobody has missed it"
        );
        assert!(!begins(&plans, REQUEST), "it is fresh");
        assert_eq!(plans.last("dlf-1", REQUEST), Some(Ok(plan("/a"))));
    }

    #[test]
    fn a_plan_stands_while_its_plugin_is_away_but_not_against_its_word() {
        let plans = plans();
        assert!(begins(&plans, REQUEST));
        plans.answered("dlf-1", REQUEST, Ok(plan("/a")));
        plans.answered("dlf-1", REQUEST, away());
        assert_eq!(plans.last("dlf-1", REQUEST), Some(Ok(plan("/a"))));
        let refused = Err(PlanError::new("InvalidSpec", "no"));
        plans.answered("dlf-1", REQUEST, refused.clone());
        assert_eq!(plans.last("dlf-1", REQUEST), Some(refused));
    }

    #[test]
    fn an_answer_to_what_is_asked_no_more_is_dropped() {
        let plans = plans();
        assert!(begins(&plans, REQUEST));
        assert!(
            begins(&plans, EDITED),
            "an edit does not wait for the plan of before"
        );
        assert_eq!(plans.last("dlf-1", EDITED), None);
        assert!(!plans.answered("dlf-1", REQUEST, Ok(plan("/a"))));
        assert_eq!(plans.last("dlf-1", EDITED), None);
        assert!(plans.answered("dlf-1", EDITED, Ok(plan("/b"))));
        plans.forget("dlf-1");
        assert_eq!(plans.last("dlf-1", EDITED), None);
        assert!(!plans.answered("dlf-1", EDITED, Ok(plan("/b"))));
        assert!(plans.lock().datasets.is_empty());
    }
}
