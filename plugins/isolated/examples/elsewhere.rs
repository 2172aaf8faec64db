//! Storage plugin `s3fs` as somebody else would ship it: for tests of storage plugins that are not compiled in.

use dlf_plugin_s3fs::S3fs;
use dlf_plugin_sdk::prelude::*;

#[derive(Default)]
struct Elsewhere(S3fs);

#[async_trait]
impl StoragePlugin for Elsewhere {
    fn describe(&self) -> PluginInfo {
        PluginInfo {
            name: "elsewhere".to_owned(),
            ..self.0.describe()
        }
    }

    async fn plan(&self, request: &StorageRequest) -> Result<StoragePlan, PlanError> {
        self.0.plan(request).await
    }
}

dlf_plugin_sdk::export_plugin!(Elsewhere: storage);
