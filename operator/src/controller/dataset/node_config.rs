//! What nodes mount: a plan with its keys, as the node driver takes it.

use std::collections::BTreeMap;

use dlf_core::{
    plugin::{FileSystem, Mount},
    program::Program,
};
use dlf_plugin_host::Config;
use dlf_wire::dataset::v1::{
    DatasetConfig, FuseVolume, HostPathVolume, NfsVolume, Origin, dataset_config,
};
use sha2::{Digest, Sha256};

use crate::controller::{error::Problem, names::Identity};

/// How long a request waits for a source that is away.
const SOURCE_TIMEOUT_MS: u64 = 90_000;

/// Of a mount; its version is given when it is told to nodes.
pub(super) fn of(
    identity: &Identity,
    mount: &Mount,
    origins: Vec<Origin>,
    config: &Config,
) -> Result<DatasetConfig, Problem> {
    if let FileSystem::ObjectStore(store) = &mount.file_system {
        signs(&store.program, &origins)?;
    }
    let volume = match &mount.file_system {
        FileSystem::ObjectStore(store) => dataset_config::Volume::Fuse(FuseVolume {
            program: store.program.clone(),
            options: store.options.clone().into_iter().collect(),
            origins,
            uid: store.uid,
            gid: store.gid,
            umask: store.umask,
            revalidate_ms: store.revalidate_ms,
            source_timeout_ms: SOURCE_TIMEOUT_MS,
            roots: Vec::new(),
        }),
        FileSystem::Nfs(export) => dataset_config::Volume::Nfs(NfsVolume {
            server: export.server.clone(),
            share: export.share.clone(),
            options: export.options.clone(),
            create: export.create,
        }),
        FileSystem::HostPath(directory) => {
            let rule = config
                .host_path_rule(&identity.namespace, &directory.path)
                .ok_or_else(|| {
                    Problem::failed(
                        "HostPathNotAllowed",
                        "spec.local.path is not below an allowed prefix",
                    )
                })?;
            dataset_config::Volume::HostPath(HostPathVolume {
                prefix: rule.prefix.clone(),
                path: directory.path[rule.prefix.len()..]
                    .trim_start_matches('/')
                    .to_owned(),
                create: directory.create,
            })
        }
    };
    Ok(DatasetConfig {
        volume_handle: identity.handle(),
        version: 0,
        namespace: identity.namespace.clone(),
        name: identity.name.clone(),
        source_revision: source_revision(&volume),
        readonly: mount.readonly,
        volume: Some(volume),
    })
}

/// That the program can sign with these keys.
fn signs(program: &str, origins: &[Origin]) -> Result<(), Problem> {
    let mut keys = origins.iter().flat_map(|origin| &origin.keys);
    let temporary = keys.any(|keys| !keys.session_token.is_empty());
    let takes = program.parse().is_ok_and(Program::takes_session_token);
    if takes || !temporary {
        return Ok(());
    }
    Err(Problem::pending(
        "SessionTokenNotTaken",
        format!(
            "the keys are temporary (their Secret has a session token), and program {program} takes no session token; \
             leave spec.mount.program out, or name a Secret of keys that last"
        ),
    ))
}

/// Hash of what needs another mount when it changes: type, place and mount options, but neither
/// keys nor endpoint.
fn source_revision(volume: &dataset_config::Volume) -> String {
    let text = match volume {
        dataset_config::Volume::Fuse(fuse) => {
            // A cache in front of the source changes no mount.
            let source = fuse.origins.last();
            let places: Vec<_> = source
                .iter()
                .map(|origin| (&origin.bucket, &origin.prefix))
                .collect();
            let options: BTreeMap<_, _> = fuse.options.iter().collect();
            format!(
                "fuse {} {options:?} {places:?} {:?} {:?} {:o}",
                fuse.program, fuse.uid, fuse.gid, fuse.umask
            )
        }
        dataset_config::Volume::Nfs(nfs) => {
            format!("nfs {} {} {}", nfs.server, nfs.share, nfs.options)
        }
        dataset_config::Volume::HostPath(path) => format!("host {} {}", path.prefix, path.path),
    };
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use dlf_wire::dataset::v1::Keys;

    use super::*;

    #[test]
    fn a_program_that_takes_no_session_token_is_named_and_lasting_keys_are_its_own() {
        let with = |token: &str| Origin {
            keys: Some(Keys {
                session_token: token.to_owned(),
                ..Keys::default()
            }),
            ..Origin::default()
        };
        assert!(signs("native", &[with("token")]).is_ok());
        assert!(signs("s3fs", &[with(""), Origin::default()]).is_ok());
        let refused = signs("s3fs", &[with("token")]).unwrap_err();
        assert_eq!(refused.reason, "SessionTokenNotTaken");
        for part in ["s3fs", "spec.mount.program"] {
            assert!(refused.message.contains(part), "{}", refused.message);
        }
    }
}
