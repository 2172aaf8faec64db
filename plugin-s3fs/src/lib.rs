//! Storage plugin `s3fs`: plans how a bucket of any S3 (type COS) becomes a FUSE mount.

mod plan;

use async_trait::async_trait;
use dlf_core::{
    plugin::{
        Needs, PlanError, PluginInfo, PluginKind, ProtocolRange, StoragePlan, StoragePlugin,
        StorageRequest,
    },
    source::{Source, SourceType},
};

/// Plans mounts of S3 buckets.
#[derive(Clone, Copy, Debug, Default)]
pub struct S3fs;

#[async_trait]
impl StoragePlugin for S3fs {
    fn describe(&self) -> PluginInfo {
        PluginInfo {
            name: "s3fs".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: ProtocolRange::CURRENT,
            kind: PluginKind::Storage,
            source_types: vec![SourceType::Cos],
            emits: Vec::new(),
            observes: Vec::new(),
            needs: Needs::default(),
            config_schema: None,
        }
    }

    async fn plan(&self, request: &StorageRequest) -> Result<StoragePlan, PlanError> {
        match &request.source {
            Source::ObjectStore(source) => plan::bucket(request, source),
            other => Err(PlanError::new(
                "SourceTypeNotSupported",
                format!(
                    "plugin s3fs plans sources of type COS, not {}",
                    other.kind().as_str()
                ),
            )),
        }
    }
}
