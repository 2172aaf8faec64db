//! One suite for every plugin: what a host relies on, asked of a plugin behind any carrier. Which
//! checks apply follows from what the plugin says of itself.

mod caching;
mod common;
mod direct;
mod report;
mod requests;
mod storage;

use std::sync::Arc;

use dlf_core::plugin::PluginKind;
use dlf_plugin_host::carrier::{Channel, Remote};
#[doc(hidden)]
pub use dlf_plugin_sdk::Plugin;

pub use direct::Direct;
pub use report::{Check, Outcome, Report};

/// Asks the plugin at the end of a channel everything that applies to it.
pub async fn check(channel: Arc<dyn Channel>) -> Report {
    let remote = match Remote::meet(Arc::clone(&channel)).await {
        Ok(remote) => remote,
        Err(error) => return Report::of_a_stranger(&error),
    };
    let mut report = Report::new(remote.info());
    common::check(&mut report, channel.as_ref(), remote.info()).await;
    match remote.info().kind {
        PluginKind::Storage => storage::check(&mut report, &remote).await,
        PluginKind::Caching => caching::check(&mut report, &remote).await,
    }
    report
}

/// Asks a plugin of this program, without a carrier.
///
/// # Panics
/// When no runtime can be made.
#[must_use]
#[allow(clippy::expect_used, reason = "for tests, which fail by panicking")]
pub fn run(plugin: Plugin) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(check(Arc::new(Direct::new(plugin))))
}

/// A test that a plugin passes the suite: `conformance!(MyPlugin: caching);`, or `: storage`, for a type
/// that is `Default`.
#[macro_export]
macro_rules! conformance {
    ($plugin:ty : $kind:ident) => {
        #[test]
        fn conforms() {
            let plugin = $crate::Plugin::$kind(<$plugin as ::core::default::Default>::default());
            let report = $crate::run(plugin);
            assert!(report.passed(), "{report}");
        }
    };
}
