use dlf_core::{
    plugin::{
        FileSystem, HostPathMount, Mount, PlanError, SecretEntry, StoragePlan, StorageRequest,
        Volume,
    },
    source::HostPathSource,
};

pub(crate) fn directory(
    request: &StorageRequest,
    source: &HostPathSource,
) -> Result<StoragePlan, PlanError> {
    refuse_ownership(request)?;
    let entries = || {
        [
            ("path", source.path.clone()),
            ("readonly", source.readonly.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
    };
    Ok(StoragePlan {
        volume: Volume::Mount(Mount {
            readonly: source.readonly,
            file_system: FileSystem::HostPath(HostPathMount {
                path: source.path.clone(),
                create: source.create,
            }),
        }),
        config_map: entries().into(),
        secret: entries()
            .map(|(key, value)| (key, SecretEntry::Literal(value)))
            .into(),
        tasks: Vec::new(),
    })
}

/// Who owns a file on a node's disk is the node's own rule.
fn refuse_ownership(request: &StorageRequest) -> Result<(), PlanError> {
    let mount = &request.mount;
    if mount.uid.is_none() && mount.gid.is_none() && mount.umask.is_none() {
        return Ok(());
    }
    Err(PlanError::new(
        "InvalidSpec",
        "spec.mount.uid, gid and umask apply to COS only: on a host path the directory decides; leave them out",
    ))
}
