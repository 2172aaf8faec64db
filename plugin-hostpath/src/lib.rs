//! Storage plugin `hostpath`: plans how a directory of the node (type HOST) becomes a bind mount.
//!
//! Whether a namespace may use the path is the operator's gate, not the plan's.

mod plan;

use async_trait::async_trait;
use dlf_core::{
    plugin::{
        Needs, PlanError, PluginInfo, PluginKind, ProtocolRange, StoragePlan, StoragePlugin,
        StorageRequest,
    },
    source::{Source, SourceType},
};

/// Plans mounts of node directories.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostPath;

#[async_trait]
impl StoragePlugin for HostPath {
    fn describe(&self) -> PluginInfo {
        PluginInfo {
            name: "hostpath".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: ProtocolRange::CURRENT,
            kind: PluginKind::Storage,
            source_types: vec![SourceType::Host],
            emits: Vec::new(),
            observes: Vec::new(),
            needs: Needs::default(),
            config_schema: None,
        }
    }

    async fn plan(&self, request: &StorageRequest) -> Result<StoragePlan, PlanError> {
        match &request.source {
            Source::HostPath(source) => plan::directory(request, source),
            other => Err(PlanError::new(
                "SourceTypeNotSupported",
                format!(
                    "plugin hostpath plans sources of type HOST, not {}",
                    other.kind().as_str()
                ),
            )),
        }
    }
}
