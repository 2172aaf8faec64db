use std::collections::BTreeMap;

use dlf_core::{
    plugin::{
        FileSystem, Intent, Mount, NfsMount, PlanError, SecretEntry, StoragePlan, StorageRequest,
        Task, Volume,
    },
    source::NfsSource,
};

use crate::server;

pub(crate) fn export(
    request: &StorageRequest,
    source: &NfsSource,
) -> Result<StoragePlan, PlanError> {
    refuse_ownership(request)?;
    server::refuse_port(&source.server)?;
    Ok(StoragePlan {
        volume: Volume::Mount(Mount {
            readonly: source.readonly,
            file_system: FileSystem::Nfs(NfsMount {
                server: source.server.clone(),
                share: source.share.clone(),
                options: source.mount_options.clone(),
                create: source.create,
            }),
        }),
        config_map: entries(source).collect(),
        secret: entries(source)
            .map(|(key, value)| (key, SecretEntry::Literal(value)))
            .collect(),
        tasks: tasks(request.intent, source),
    })
}

/// Who owns a file on NFS is the server's own rule.
fn refuse_ownership(request: &StorageRequest) -> Result<(), PlanError> {
    let mount = &request.mount;
    if mount.uid.is_none() && mount.gid.is_none() && mount.umask.is_none() {
        return Ok(());
    }
    Err(PlanError::new(
        "InvalidSpec",
        "spec.mount.uid, gid and umask apply to COS only: on NFS the server decides; leave them out",
    ))
}

fn entries(source: &NfsSource) -> impl Iterator<Item = (String, String)> {
    BTreeMap::from([
        ("server".to_owned(), source.server.clone()),
        ("share".to_owned(), source.share.clone()),
        ("readonly".to_owned(), source.readonly.to_string()),
    ])
    .into_iter()
}

fn tasks(intent: Intent, source: &NfsSource) -> Vec<Task> {
    match intent {
        Intent::Exist => vec![server::probe(source)],
        Intent::Delete => Vec::new(),
    }
}
