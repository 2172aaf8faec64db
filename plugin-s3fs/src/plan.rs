use std::collections::BTreeMap;

use dlf_core::{
    plugin::{
        FileSystem, Intent, Mount, ObjectStoreMount, OriginRef, PlanError, SecretEntry,
        StoragePlan, StorageRequest, Task, Volume,
    },
    source::{ObjectStoreSource, keys},
};

/// The mounter's own file system.
const DEFAULT_PROGRAM: &str = "native";

pub(crate) fn bucket(
    request: &StorageRequest,
    source: &ObjectStoreSource,
) -> Result<StoragePlan, PlanError> {
    let origin = origin(source)?;
    Ok(StoragePlan {
        volume: Volume::Mount(mount(request, source, &origin)?),
        config_map: config_map(source),
        secret: secret(source, &origin),
        tasks: tasks(request.intent, source, origin),
    })
}

fn origin(source: &ObjectStoreSource) -> Result<OriginRef, PlanError> {
    OriginRef::of(source).ok_or_else(|| {
        PlanError::new(
            "InlineKeys",
            "a plan is made from references, never from keys",
        )
    })
}

fn mount(
    request: &StorageRequest,
    source: &ObjectStoreSource,
    origin: &OriginRef,
) -> Result<Mount, PlanError> {
    Ok(Mount {
        readonly: source.readonly,
        file_system: FileSystem::ObjectStore(ObjectStoreMount {
            program: request
                .mount
                .program
                .clone()
                .unwrap_or_else(|| DEFAULT_PROGRAM.to_owned()),
            options: BTreeMap::new(),
            origins: vec![origin.clone()],
            uid: request.mount.uid,
            gid: request.mount.gid,
            umask: umask(request.mount.umask.as_deref())?,
            revalidate_ms: request.revalidate_ms,
        }),
    })
}

fn umask(text: Option<&str>) -> Result<u32, PlanError> {
    let Some(text) = text else { return Ok(0) };
    u32::from_str_radix(text, 8).ok().filter(|umask| *umask <= 0o777).ok_or_else(|| {
        PlanError::new(
            "InvalidSpec",
            format!("spec.mount.umask: found {text:?}; expected octal digits from 000 to 777, as \"0022\""),
        )
    })
}

fn config_map(source: &ObjectStoreSource) -> BTreeMap<String, String> {
    entries(source)
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// What both the ConfigMap and the Secret say: where the bucket is.
fn entries(source: &ObjectStoreSource) -> impl Iterator<Item = (&'static str, String)> {
    [
        ("endpoint", source.endpoint.clone()),
        ("bucket", source.location.bucket.clone()),
        (
            "folder",
            source.location.prefix.trim_end_matches('/').to_owned(),
        ),
        ("region", source.region.clone()),
        ("readonly", source.readonly.to_string()),
    ]
    .into_iter()
}

fn secret(source: &ObjectStoreSource, origin: &OriginRef) -> BTreeMap<String, SecretEntry> {
    let of_secret = |key: &str, optional| {
        let secret = origin.key_secret.clone()?;
        let key = key.to_owned();
        Some(SecretEntry::Key {
            secret,
            key,
            optional,
        })
    };
    let keys = [keys::ACCESS_KEY_ID, keys::SECRET_ACCESS_KEY].map(|key| {
        let entry = of_secret(key, false);
        let none = || SecretEntry::Literal(String::new());
        (key.to_owned(), entry.unwrap_or_else(none))
    });
    let token = of_secret(keys::SESSION_TOKEN, true);
    let token = token.map(|entry| (keys::SESSION_TOKEN.to_owned(), entry));
    let places = entries(source).map(|(key, value)| (key.to_owned(), SecretEntry::Literal(value)));
    places.chain(keys).chain(token).collect()
}

fn tasks(intent: Intent, source: &ObjectStoreSource, origin: OriginRef) -> Vec<Task> {
    match intent {
        Intent::Exist if source.provision => {
            vec![
                Task::EnsureBucket(origin.clone()),
                Task::ProbeObjectStore(origin),
            ]
        }
        Intent::Exist => vec![Task::ProbeObjectStore(origin)],
        Intent::Delete if source.remove_on_delete => vec![Task::EmptyBucket(origin)],
        Intent::Delete => Vec::new(),
    }
}
