//! Who answers: the caches with their servers, and the source.

use std::sync::Arc;

use dlf_core::network::AddressRules;

use crate::origin::{ConfigError, Location, Origin, Shards};
use crate::origin_client::OriginClient;

/// A byte of an object, which a cache has in one place. The key is relative to the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    pub(crate) key: &'a str,
    pub(crate) offset: u64,
}

/// A store's origins in their order, the source last.
#[derive(Debug)]
pub(super) struct Table {
    caches: Vec<Cache>,
    source: Arc<OriginClient>,
}

/// A cache before the source.
#[derive(Debug)]
struct Cache {
    /// As one server, for whoever does not know its shards.
    front: Arc<OriginClient>,
    /// In the order of `front.origin.shards`; empty where `front` has all.
    shards: Vec<Arc<OriginClient>>,
}

impl Table {
    /// Of these origins. What `before` has learned of the same servers stays known.
    pub(super) fn new(
        mut origins: Vec<Origin>,
        rules: &Arc<AddressRules>,
        before: Option<&Self>,
    ) -> Result<Self, ConfigError> {
        let before: Vec<_> = before.into_iter().flat_map(Self::clients).collect();
        let client = |origin| OriginClient::succeed(origin, &before, rules).map(Arc::new);
        let source = origins.pop().ok_or(ConfigError::NoOrigin)?;
        if source.shards.is_some() {
            return Err(ConfigError::ShardedSource);
        }
        let source = client(source)?;
        let cache = |origin: Origin| {
            let shards = origin.shards.iter().flat_map(Shards::endpoints);
            let shards = shards.map(|endpoint| {
                client(Origin {
                    endpoint: endpoint.clone(),
                    shards: None,
                    ..origin.clone()
                })
            });
            Ok(Cache {
                shards: shards.collect::<Result<_, _>>()?,
                front: client(origin)?,
            })
        };
        let caches = origins.into_iter().map(cache).collect::<Result<_, _>>()?;
        Ok(Self { caches, source })
    }

    /// Where everything is that no cache has, and all that is written.
    pub(super) fn source(&self) -> &Arc<OriginClient> {
        &self.source
    }

    /// What the table was made of.
    pub(super) fn origins(&self) -> Vec<Origin> {
        let caches = self.caches.iter().map(|cache| &cache.front);
        let all = caches.chain([&self.source]);
        all.map(|client| client.origin.clone()).collect()
    }

    /// Whether anything stands before the source.
    pub(super) fn has_caches(&self) -> bool {
        !self.caches.is_empty()
    }

    /// Who is asked for a block before the source, in this order: of each cache the server that has
    /// the block, unless it failed a moment ago. Another would fetch what is not its to keep.
    /// `location`: where the block is, if not where the origins say.
    pub(super) fn caches_of(
        &self,
        block: Block<'_>,
        location: Option<&Location>,
    ) -> impl Iterator<Item = &Arc<OriginClient>> {
        let servers = self.caches.iter();
        let servers = servers.map(move |cache| cache.server_of(block, location));
        servers.filter(|server| !server.rests())
    }

    /// The first byte behind those that may be asked for at once: a server of a cache has a unit of
    /// an object, and the next has another, also where the first does not answer.
    pub(super) fn unit_end(&self, block: Block<'_>) -> u64 {
        let asked = self.caches.first();
        let shards = asked.and_then(|cache| cache.front.origin.shards.as_ref());
        shards.map_or(u64::MAX, |shards| shards.unit_end(block.offset))
    }

    fn clients(&self) -> impl Iterator<Item = Arc<OriginClient>> {
        let of_caches = self
            .caches
            .iter()
            .flat_map(|cache| [&cache.front].into_iter().chain(&cache.shards));
        of_caches.chain([&self.source]).map(Arc::clone)
    }
}

impl Cache {
    fn server_of(&self, block: Block<'_>, location: Option<&Location>) -> &Arc<OriginClient> {
        let origin = &self.front.origin;
        let shard = origin.shards.as_ref().map(|shards| {
            let (bucket, prefix) = location.map_or_else(
                || (origin.bucket.as_str(), origin.prefix.as_str()),
                |location| (location.bucket(), location.prefix()),
            );
            let key = format!("{prefix}{}", block.key);
            shards.of(bucket, &key, block.offset)
        });
        shard
            .and_then(|shard| self.shards.get(shard))
            .unwrap_or(&self.front)
    }
}
