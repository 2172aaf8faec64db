use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dlf_core::api::ApiGroup;
use k8s_openapi::ByteString;

use crate::waker::Name;

/// A dataset by group, namespace and name.
pub(in crate::controller) type Referrer = (ApiGroup, String, String);

/// Keys and values of a Secret; none when there is no such Secret.
pub(in crate::controller) type Content = Option<Arc<BTreeMap<String, ByteString>>>;

/// The Secrets that datasets name: whom a change wakes, and what stood in them when they were last
/// read. With it a Secret is read once for all who name it, and again only when it has changed.
#[derive(Clone, Default)]
pub struct SecretReferences {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    secrets: HashMap<Name, Referenced>,
    refers: HashMap<Referrer, BTreeSet<Name>>,
    /// The last ticket. It only grows, so that a read which began before its Secret was forgotten and
    /// named anew does not count.
    tickets: u64,
}

/// A Secret that somebody names.
#[derive(Default)]
struct Referenced {
    by: BTreeSet<Referrer>,
    /// Of reads that began since it was named and the watch last told of a change.
    ticket: Ticket,
    /// What one of them found.
    read: Option<Content>,
}

/// A read that begins: it counts only if the watch tells no change before it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticket(u64);

impl SecretReferences {
    /// The Secrets of its namespace that a dataset names now.
    pub fn set(&self, referrer: &Referrer, names: impl IntoIterator<Item = String>) {
        let now: BTreeSet<Name> = names
            .into_iter()
            .map(|name| (referrer.1.clone(), name))
            .collect();
        let mut inner = self.lock();
        let before = inner.refers.remove(referrer).unwrap_or_default();
        for gone in before.difference(&now) {
            if let Some(secret) = inner.secrets.get_mut(gone) {
                secret.by.remove(referrer);
                if secret.by.is_empty() {
                    inner.secrets.remove(gone);
                }
            }
        }
        for key in &now {
            let Inner {
                secrets, tickets, ..
            } = &mut *inner;
            let secret = secrets.entry(key.clone()).or_insert_with(|| Referenced {
                ticket: next(tickets),
                ..Referenced::default()
            });
            secret.by.insert(referrer.clone());
        }
        if !now.is_empty() {
            inner.refers.insert(referrer.clone(), now);
        }
    }

    /// What stands in a Secret that somebody names.
    ///
    /// # Errors
    /// A ticket for [`Self::keep`], when it has to be read.
    pub fn known(&self, secret: &Name) -> Result<Content, Ticket> {
        let inner = self.lock();
        let Some(found) = inner.secrets.get(secret) else {
            return Err(Ticket::default());
        };
        found.read.clone().ok_or(found.ticket)
    }

    /// Keeps what was read, unless the Secret has changed since the ticket or nobody names it.
    pub fn keep(&self, secret: &Name, ticket: Ticket, content: Content) {
        if let Some(found) = self.lock().secrets.get_mut(secret)
            && found.ticket == ticket
        {
            found.read = Some(content);
        }
    }

    /// The watch tells of a change: what was read counts no more. Gives the datasets that name it.
    #[must_use]
    pub fn changed(&self, secret: &Name) -> Vec<Referrer> {
        let mut inner = self.lock();
        let Inner {
            secrets, tickets, ..
        } = &mut *inner;
        let found = secrets.get_mut(secret);
        found.map_or_else(Vec::new, |found| found.changed(next(tickets)))
    }

    /// The watch has listed all Secrets that there are: others that were read have gone meanwhile.
    /// Gives the datasets that name those.
    #[must_use]
    pub fn listed(&self, all: &HashSet<Name>) -> Vec<Referrer> {
        let mut inner = self.lock();
        let Inner {
            secrets, tickets, ..
        } = &mut *inner;
        let gone = secrets
            .iter_mut()
            .filter(|(name, secret)| matches!(secret.read, Some(Some(_))) && !all.contains(*name));
        gone.flat_map(|(_, secret)| secret.changed(next(tickets)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows no keys.
impl fmt::Debug for SecretReferences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets = self.lock().secrets.len();
        f.debug_struct("SecretReferences")
            .field("secrets", &secrets)
            .finish_non_exhaustive()
    }
}

const fn next(tickets: &mut u64) -> Ticket {
    *tickets += 1;
    Ticket(*tickets)
}

impl Referenced {
    fn changed(&mut self, ticket: Ticket) -> Vec<Referrer> {
        self.ticket = ticket;
        self.read = None;
        self.by.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books() -> Referrer {
        (ApiGroup::Hpsys, "ns".to_owned(), "books".to_owned())
    }

    fn secret(name: &str) -> Name {
        ("ns".to_owned(), name.to_owned())
    }

    fn content(value: &str) -> Arc<BTreeMap<String, ByteString>> {
        let value = ByteString(value.as_bytes().to_vec());
        Arc::new(BTreeMap::from([("key".to_owned(), value)]))
    }

    #[test]
    fn a_dataset_is_woken_by_the_secrets_it_names_now_and_by_no_others() {
        let references = SecretReferences::default();
        references.set(&books(), ["a".to_owned(), "b".to_owned()]);
        references.set(&books(), ["b".to_owned(), "c".to_owned()]);
        assert!(references.changed(&secret("a")).is_empty());
        assert_eq!(references.changed(&secret("c")), [books()]);
        references.set(&books(), []);
        let inner = references.lock();
        assert!(inner.secrets.is_empty() && inner.refers.is_empty());
    }

    #[test]
    fn a_secret_is_read_once_until_it_changes() {
        let references = SecretReferences::default();
        references.set(&books(), ["keys".to_owned()]);
        let keys = secret("keys");
        let ticket = references.known(&keys).unwrap_err();
        references.keep(&keys, ticket, Some(content("old")));
        assert_eq!(references.known(&keys), Ok(Some(content("old"))));

        let _ = references.changed(&keys);
        let ticket = references.known(&keys).unwrap_err();
        // It changes while it is read: what was read may be older than the change.
        let _ = references.changed(&keys);
        references.keep(&keys, ticket, Some(content("old")));
        let ticket = references.known(&keys).unwrap_err();
        references.keep(&keys, ticket, None);
        assert_eq!(references.known(&keys), Ok(None), "absence is known too");
    }

    #[test]
    fn a_secret_that_goes_while_nobody_watches_is_missed_in_the_next_list() {
        let references = SecretReferences::default();
        references.set(
            &books(),
            ["stays".to_owned(), "goes".to_owned(), "never".to_owned()],
        );
        for (name, found) in [
            ("stays", Some(content("x"))),
            ("goes", Some(content("y"))),
            ("never", None),
        ] {
            let ticket = references.known(&secret(name)).unwrap_err();
            references.keep(&secret(name), ticket, found);
        }
        assert_eq!(
            references.listed(&HashSet::from([secret("stays")])),
            [books()]
        );
        assert!(references.known(&secret("goes")).is_err());
        assert!(references.known(&secret("stays")).is_ok());
        assert_eq!(references.known(&secret("never")), Ok(None));
    }

    #[test]
    fn a_read_that_began_before_a_secret_was_named_anew_does_not_count() {
        let references = SecretReferences::default();
        references.set(&books(), ["keys".to_owned()]);
        let keys = secret("keys");
        let ticket = references.known(&keys).unwrap_err();
        references.set(&books(), []);
        // Nobody names it, so nobody is told of its change.
        let _ = references.changed(&keys);
        references.set(&books(), ["keys".to_owned()]);
        references.keep(&keys, ticket, Some(content("old")));
        assert!(references.known(&keys).is_err());
    }

    #[test]
    fn what_nobody_names_is_not_kept() {
        let references = SecretReferences::default();
        let ticket = references.known(&secret("keys")).unwrap_err();
        references.keep(&secret("keys"), ticket, Some(content("x")));
        assert!(references.known(&secret("keys")).is_err());
    }
}
