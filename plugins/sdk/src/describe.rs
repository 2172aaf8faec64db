use dlf_core::{
    plugin::{KindRef, Needs, PluginInfo, PluginKind, ProtocolRange},
    source::SourceType,
};
use serde_json::Value;

/// What a plugin says of itself, part by part.
#[derive(Clone, Debug)]
pub struct Description(PluginInfo);

/// Describes a caching plugin for S3 sources.
#[must_use]
pub fn caching(name: &str, version: &str) -> Description {
    new(name, version, PluginKind::Caching, vec![SourceType::Cos])
}

/// Describes a storage plugin for these types of source.
#[must_use]
pub fn storage(name: &str, version: &str, source_types: &[SourceType]) -> Description {
    new(name, version, PluginKind::Storage, source_types.to_vec())
}

fn new(name: &str, version: &str, kind: PluginKind, source_types: Vec<SourceType>) -> Description {
    Description(PluginInfo {
        name: name.to_owned(),
        version: version.to_owned(),
        protocol: ProtocolRange::CURRENT,
        kind,
        source_types,
        emits: Vec::new(),
        observes: Vec::new(),
        needs: Needs::default(),
        config_schema: None,
    })
}

impl Description {
    /// Its plans hold objects of this kind.
    #[must_use]
    pub fn emits(mut self, api_version: &str, kind: &str) -> Self {
        self.0.emits.push(KindRef::new(api_version, kind));
        self
    }

    /// Its plans hold objects of this kind, and it wants to see what has become of them.
    #[must_use]
    pub fn observes(mut self, api_version: &str, kind: &str) -> Self {
        self.0.observes.push(KindRef::new(api_version, kind));
        self.emits(api_version, kind)
    }

    /// Its plans are those of a [`Server`](crate::Server).
    #[must_use]
    pub fn plans_servers(self) -> Self {
        let workloads = ["Deployment", "StatefulSet"].into_iter();
        workloads
            .fold(self, |described, kind| described.observes("apps/v1", kind))
            .emits("v1", "Service")
            .emits("v1", "ConfigMap")
    }

    /// Its pods read the source with the source's own keys: requests have a `place.key_secret`, where the source
    /// has keys. The configuration has to grant it.
    #[must_use]
    pub fn needs_source_keys(mut self) -> Self {
        self.0.needs.source_keys = true;
        self
    }

    /// JSON Schema of its section of the configuration.
    #[must_use]
    pub fn config_schema(mut self, schema: Value) -> Self {
        self.0.config_schema = Some(schema);
        self
    }

    /// All of it.
    #[must_use]
    pub fn build(self) -> PluginInfo {
        self.0
    }
}
