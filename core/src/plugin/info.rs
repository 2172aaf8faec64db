use serde::{Deserialize, Serialize};

use crate::source::SourceType;

/// The protocol this build speaks: the highest version it knows.
pub const PROTOCOL: u32 = 2;

/// Who a plugin is and what it can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PluginInfo {
    /// The name by which the configuration and datasets call it; a DNS label.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// The protocol versions it speaks.
    pub protocol: ProtocolRange,
    /// Which of the two traits it has.
    pub kind: PluginKind,
    /// The source types it can plan for.
    pub source_types: Vec<SourceType>,
    /// Kinds that its plans may hold; a plan with another is refused.
    #[serde(default)]
    pub emits: Vec<KindRef>,
    /// Kinds of its own objects that it wants to see as they are.
    #[serde(default)]
    pub observes: Vec<KindRef>,
    /// What it needs beyond what every plugin has; the configuration grants it.
    #[serde(default, skip_serializing_if = "Needs::is_nothing")]
    pub needs: Needs,
    /// JSON Schema of its section of the configuration; none: it takes no configuration.
    #[serde(default)]
    pub config_schema: Option<serde_json::Value>,
}

/// What a plugin needs beyond what every plugin has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Needs {
    /// Its pods read the source with the source's own keys: a Secret with them is made beside the cache
    /// ([`CachePlace::key_secret`](super::CachePlace::key_secret)).
    pub source_keys: bool,
}

impl Needs {
    /// Whether it needs nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Protocol versions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProtocolRange {
    /// The lowest.
    pub min: u32,
    /// The highest.
    pub max: u32,
}

impl ProtocolRange {
    /// Just this build's.
    pub const CURRENT: Self = Self {
        min: PROTOCOL,
        max: PROTOCOL,
    };
}

/// Which trait a plugin has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum PluginKind {
    /// Plans how pods mount a source.
    Storage,
    /// Plans a cache in front of a source.
    Caching,
}

impl PluginKind {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Caching => "caching",
        }
    }
}

impl KindRef {
    /// A kind by its two names.
    #[must_use]
    pub fn new(api_version: &str, kind: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        }
    }
}

/// A kind of Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct KindRef {
    /// `group/version`, or `v1`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
}
