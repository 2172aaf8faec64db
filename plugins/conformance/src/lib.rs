//! One suite for every plugin: what a host relies on, asked of a plugin behind any carrier. Which
//! checks apply follows from what the plugin says of itself.

mod caching;
mod common;
mod direct;
mod report;
mod requests;
mod storage;
mod typed;

use std::sync::Arc;

use dlf_core::plugin::PluginKind;
use dlf_plugin_host::carrier::{Channel, Remote};
#[doc(hidden)]
pub use dlf_plugin_sdk::Plugin;
#[doc(hidden)]
pub use serde_json::Value;

pub use direct::Direct;
pub use report::{Check, Outcome, Report};

/// Asks the plugin at the end of a channel everything that applies to it, with its section of the
/// configuration; `null`: nobody configured anything.
pub async fn check(channel: Arc<dyn Channel>, config: &Value) -> Report {
    let remote = match Remote::meet(Arc::clone(&channel)).await {
        Ok(remote) => remote,
        Err(error) => return Report::of_a_stranger(error),
    };
    let mut report = Report::new(remote.info());
    common::describes(&mut report, channel.as_ref(), remote.info()).await;
    if !common::is_configured(&mut report, remote.info(), config) {
        report.skip(
            ["it plans what a host relies on"],
            "a host asks it for no plan while its configuration does not fit",
        );
        return report;
    }
    common::answers(&mut report, channel.as_ref(), remote.info(), config).await;
    match remote.info().kind {
        PluginKind::Storage => storage::check(&mut report, &remote, config).await,
        PluginKind::Caching => caching::check(&mut report, &remote, config).await,
    }
    report
}

/// Asks a plugin of this program, without a carrier, with its section of the configuration.
///
/// # Panics
/// When no runtime can be made.
#[must_use]
#[allow(clippy::expect_used, reason = "for tests, which fail by panicking")]
pub fn run(plugin: Plugin, config: &Value) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(check(Arc::new(Direct::new(plugin)), config))
}

/// A test that a plugin passes the suite: `conformance!(MyPlugin: caching);`, or `: storage`, for a type
/// that is `Default`. One that needs something configured has its section of the configuration as well:
/// `conformance!(MyPlugin: caching, serde_json::json!({ "tier": "nvme" }));`.
#[macro_export]
macro_rules! conformance {
    ($plugin:ty : $kind:ident) => {
        $crate::conformance!($plugin: $kind, $crate::Value::Null);
    };
    ($plugin:ty : $kind:ident, $config:expr) => {
        #[test]
        fn conforms() {
            let plugin = $crate::Plugin::$kind(<$plugin as ::core::default::Default>::default());
            let report = $crate::run(plugin, &$config);
            assert!(report.passed(), "{report}");
        }
    };
}
