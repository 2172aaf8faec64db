//! Rotation of keys: a store may refuse the old ones before the new ones have reached us.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Current, ObjectStore};

/// Since when a source refuses its keys. One clock for all who ask it, so that the first request
/// waits for others, and those behind it fail at once if none came: such keys are not being
/// rotated, they are wrong.
#[derive(Debug, Default)]
pub(super) struct KeyClock(Mutex<Option<Instant>>);

impl KeyClock {
    /// The keys were refused: until when others are to be waited for.
    fn refused(&self, grace: Duration) -> Instant {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *since.get_or_insert_with(Instant::now) + grace
    }

    /// The keys worked: a later refusal is the first of its kind.
    pub(super) fn worked(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// How long one operation has waited for keys.
#[derive(Debug, Default)]
pub(super) struct KeyWait {
    /// All its waiting together.
    pub(super) waited: Duration,
}

impl KeyWait {
    /// Waits for a configuration after `tried`, whose keys were refused: true once there is one.
    ///
    /// No longer than the store's grace period in all, however often other wrong keys come.
    pub(super) async fn for_others(&mut self, store: &ObjectStore, tried: &Current) -> bool {
        let began = Instant::now();
        let rest = store.key_grace.saturating_sub(self.waited);
        let until = tried.keys.refused(store.key_grace).min(began + rest);
        let mut news = store.shared.current.subscribe();
        let changed = news.wait_for(|now| !Arc::ptr_eq(&now.table, &tried.table));
        let came = matches!(timeout_at(until, changed).await, Ok(Ok(_)));
        self.waited += began.elapsed();
        came
    }
}

#[cfg(test)]
mod tests {
    use dlf_core::network::AddressRules;

    use super::*;
    use crate::{ClientOptions, Keys, Origin};

    const GRACE: Duration = Duration::from_secs(30);

    fn origin(secret: &str) -> Origin {
        Origin {
            endpoint: "http://s3".parse().unwrap(),
            bucket: "bucket".to_owned(),
            prefix: String::new(),
            region: String::new(),
            keys: Some(Keys {
                access_key_id: "id".to_owned(),
                secret_access_key: secret.to_owned(),
                session_token: None,
            }),
            ca_pem: None,
            shards: None,
        }
    }

    fn store() -> ObjectStore {
        let options = ClientOptions {
            key_grace: GRACE,
            ..ClientOptions::default()
        };
        ObjectStore::new(vec![origin("old")], options).unwrap()
    }

    /// What one operation waits whose keys are refused, and whether others came.
    async fn wait(store: &ObjectStore) -> (Duration, bool) {
        let mut wait = KeyWait::default();
        let came = wait.for_others(store, &store.current()).await;
        (wait.waited, came)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_refusal_is_waited_for_and_those_behind_it_are_not() {
        let store = store();
        assert_eq!(wait(&store).await, (GRACE, false));
        assert_eq!(wait(&store).await, (Duration::ZERO, false));
        // The same keys again are no news.
        store.reconfigure(vec![origin("old")]).unwrap();
        assert_eq!(wait(&store).await, (Duration::ZERO, false));
        let rules = AddressRules {
            allow: vec!["10.0.0.0/8".parse().unwrap()],
            ..AddressRules::default()
        };
        store.set_rules(rules).unwrap();
        assert_eq!(wait(&store).await, (Duration::ZERO, false));
        store.reconfigure(vec![origin("new")]).unwrap();
        assert_eq!(wait(&store).await, (GRACE, false));
        store.current().keys.worked();
        assert_eq!(wait(&store).await, (GRACE, false));
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_hear_of_new_keys_at_once() {
        let store = store();
        let waiting = [(); 3].map(|()| {
            let store = store.clone();
            tokio::spawn(async move { wait(&store).await })
        });
        let second = Duration::from_secs(1);
        tokio::time::sleep(second).await;
        store.reconfigure(vec![origin("new")]).unwrap();
        for task in waiting {
            assert_eq!(task.await.unwrap(), (second, true));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_operation_does_not_wait_for_ever_while_wrong_keys_come() {
        let store = store();
        let mut wait = KeyWait::default();
        for number in 0..6 {
            let tried = store.current();
            let others = async {
                tokio::time::sleep(Duration::from_secs(7)).await;
                let secret = format!("wrong {number}");
                store.reconfigure(vec![origin(&secret)]).unwrap();
            };
            let (came, ()) = tokio::join!(wait.for_others(&store, &tried), others);
            assert_eq!(came, number < 4, "{number}: {wait:?}");
        }
        assert_eq!(wait.waited, GRACE);
    }
}
