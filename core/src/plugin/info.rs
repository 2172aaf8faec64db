use serde::{Deserialize, Serialize};

use crate::source::SourceType;

/// The protocol this build speaks: the highest version it knows.
pub const PROTOCOL: u32 = 1;

/// Who a plugin is and what it can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    pub emits: Vec<KindRef>,
}

/// Protocol versions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(rename_all = "camelCase")]
pub enum PluginKind {
    /// Plans how pods mount a source.
    Storage,
}

/// A kind of Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KindRef {
    /// `group/version`, or `v1`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
}
