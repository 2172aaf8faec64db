//! Gates of the installation, checked on what a Dataset says and again on the effective source.

use dlf_core::source::{KeySource, Source};
use dlf_plugin_host::Config;

use super::error::Problem;

/// Whether a namespace may use this source.
///
/// # Errors
/// The gate that is closed, and who can open it.
pub fn check(config: &Config, namespace: &str, source: &Source) -> Result<(), Problem> {
    match source {
        Source::ObjectStore(bucket) => match bucket.keys {
            KeySource::Inline { .. } if !config.admission.inline_keys => Err(Problem::failed(
                "InlineKeysRefused",
                "spec.local.accessKeyID and secretAccessKey: this cluster's configuration refuses keys written \
                 into a Dataset; put them into a Secret and name it in spec.local.secret-name",
            )),
            _ => Ok(()),
        },
        Source::Nfs(export) if !config.nfs_server_allowed(namespace, &export.server) => {
            Err(Problem::failed(
                "NfsServerNotAllowed",
                format!(
                    "spec.local.server: namespace {namespace} may not use the NFS server {}; an \
                     administrator can allow it in [[nfs_server]] of the configuration",
                    export.server
                ),
            ))
        }
        Source::HostPath(directory)
            if config.host_path_rule(namespace, &directory.path).is_none() =>
        {
            Err(Problem::failed(
                "HostPathNotAllowed",
                format!(
                    "spec.local.path: namespace {namespace} may not use the host path {}; an \
                     administrator can allow it in [[host_path]] of the configuration",
                    directory.path
                ),
            ))
        }
        Source::Nfs(_) | Source::HostPath(_) => Ok(()),
    }
}
