//! Storage plugin `nfs`: plans how an NFS export becomes a kernel mount.

mod plan;
mod server;

use async_trait::async_trait;
use dlf_core::{
    plugin::{
        Needs, PlanError, PluginInfo, PluginKind, ProtocolRange, StoragePlan, StoragePlugin,
        StorageRequest,
    },
    source::{Source, SourceType},
};

/// Plans mounts of NFS exports.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nfs;

#[async_trait]
impl StoragePlugin for Nfs {
    fn describe(&self) -> PluginInfo {
        PluginInfo {
            name: "nfs".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: ProtocolRange::CURRENT,
            kind: PluginKind::Storage,
            source_types: vec![SourceType::Nfs],
            emits: Vec::new(),
            observes: Vec::new(),
            needs: Needs::default(),
            config_schema: None,
        }
    }

    async fn plan(&self, request: &StorageRequest) -> Result<StoragePlan, PlanError> {
        match &request.source {
            Source::Nfs(source) => plan::export(request, source),
            other => Err(PlanError::new(
                "SourceTypeNotSupported",
                format!(
                    "plugin nfs plans sources of type NFS, not {}",
                    other.kind().as_str()
                ),
            )),
        }
    }
}
