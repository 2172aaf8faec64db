//! For authors of DLF plugins. Write a type with [`CachingPlugin`](prelude::CachingPlugin)
//! or [`StoragePlugin`](prelude::StoragePlugin), and hand it
//! to [`export_plugin!`]: the shared library that comes out runs isolated or in the operator, and the
//! same type can be tested without either.
//!
//! ```
//! use dlf_plugin_sdk::prelude::*;
//!
//! #[derive(Default)]
//! struct Proxy;
//!
//! #[async_trait]
//! impl CachingPlugin for Proxy {
//!     fn describe(&self) -> PluginInfo {
//!         caching("proxy", env!("CARGO_PKG_VERSION")).emits("apps/v1", "Deployment").emits("v1", "Service").build()
//!     }
//!
//!     async fn plan(&self, request: &CachingRequest) -> Result<CachingPlan, PlanError> {
//!         let server = Server::new(request, "registry.example.com/proxy:1", 8080).env("SOURCE", &request.source.endpoint);
//!         Ok(server.plan())
//!     }
//! }
//! dlf_plugin_sdk::export_plugin!(Proxy: caching);
//! # fn main() {}
//! ```

mod answer;
#[doc(hidden)]
pub mod boundary;
mod describe;
mod server;

pub use answer::Plugin;
pub use async_trait::async_trait;
pub use describe::{Description, caching, storage};
pub use dlf_core::{api, plugin, shards, source};
pub use serde_json::{self, Value, json};
pub use server::Server;

/// What most plugins use.
pub mod prelude {
    pub use async_trait::async_trait;
    pub use dlf_core::{
        plugin::{
            CacheCondition, CacheKeys, CacheOrigin, CachingPlan, CachingPlugin, CachingRequest,
            Intent, PlanError, PluginInfo, StoragePlan, StoragePlugin, StorageRequest,
        },
        shards::SHARD_BYTES_DEFAULT,
        source::ObjectStoreSource,
    };
    pub use serde_json::{Value, json};

    pub use crate::{Plugin, Server, caching, storage};
}

/// Makes a shared library of a plugin: `export_plugin!(MyPlugin: caching)` or `: storage`, for a type
/// that is `Default`. Once in a crate of type `cdylib`.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty : $kind:ident) => {
        /// The entry that DLF looks for.
        #[unsafe(no_mangle)]
        pub extern "C" fn dlf_plugin_v1() -> *const $crate::boundary::Table {
            const {
                assert!(
                    cfg!(panic = "unwind"),
                    "a plugin is built with panic = \"unwind\": an abort would take its host with it"
                )
            };
            unsafe extern "C" fn create(
                host: *const $crate::boundary::Host,
            ) -> *mut ::core::ffi::c_void {
                // SAFETY: the host's promise, handed on.
                unsafe {
                    $crate::boundary::create(host, || {
                        $crate::Plugin::$kind(<$plugin as ::core::default::Default>::default())
                    })
                }
            }
            static TABLE: $crate::boundary::Table = $crate::boundary::table(create);
            &raw const TABLE
        }
    };
}
