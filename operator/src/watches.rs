//! What wakes a dataset: each watch keeps an index or a store, then wakes whom it concerns.

use std::{collections::HashSet, fmt::Debug};

use futures::{Stream, StreamExt, pin_mut};
use kube::{
    Resource, ResourceExt,
    api::Api,
    runtime::{
        WatchStreamExt, reflector,
        reflector::store::Writer,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tracing::warn;

use crate::waker::Name;

/// What a watch tells.
pub enum Change<K> {
    /// The object is there, as it is now.
    Applied(K),
    /// The object is gone.
    Deleted(K),
    /// A new list is complete: what is not in it is gone.
    Listed(HashSet<Name>),
}

/// Follows a watch for ever; `tell` sees every change after a store, if there is one, has it.
pub async fn follow<K>(
    stream: impl Stream<Item = watcher::Result<Event<K>>>,
    mut tell: impl FnMut(Change<K>),
) where
    K: Resource,
{
    let mut listed = HashSet::new();
    pin_mut!(stream);
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                listed.insert(name_of(&object));
                tell(Change::Applied(object));
            }
            Ok(Event::InitDone) => tell(Change::Listed(std::mem::take(&mut listed))),
            Ok(Event::Apply(object)) => tell(Change::Applied(object)),
            Ok(Event::Delete(object)) => tell(Change::Deleted(object)),
            Err(error) => warn!(%error, "a watch failed and is tried again"),
        }
    }
}

/// Namespace and name of an object.
pub fn name_of(object: &impl Resource) -> Name {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// A watch with back-off.
pub fn events<K>(
    api: Api<K>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    kube::runtime::watcher(api, config).default_backoff()
}

/// A watch that fills a store, without the fields nobody reads.
pub fn stored<K>(
    api: Api<K>,
    config: watcher::Config,
    writer: Writer<K>,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone + Send + Sync,
{
    let slim = events(api, config).modify(|object| object.managed_fields_mut().clear());
    reflector(writer, slim)
}
