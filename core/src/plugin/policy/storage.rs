//! What a storage plan may lead to: what its Dataset names, and nothing else. The gates (addresses, servers, paths,
//! Secrets) were asked about that, and are not asked about a plan.

use std::collections::BTreeSet;

use super::refused;
use crate::{
    plugin::{
        FileSystem, OriginRef, PlanError, SecretEntry, StoragePlan, StorageRequest, Task, Volume,
    },
    program,
    source::Source,
};

/// Checks the plan of a plugin for one source.
///
/// # Errors
/// The first thing that it may not hold: what was found, and what may stand there.
pub fn check(plan: &StoragePlan, request: &StorageRequest) -> Result<(), PlanError> {
    let (source, secrets) = (&request.source, secrets(&request.source));
    let Volume::Mount(mount) = &plan.volume;
    if source.readonly() && !mount.readonly {
        return Err(refused(format!(
            "{} is read-only, and the plan mounts it for writing; set `readonly` of the mount",
            source.address()
        )));
    }
    file_system(&mount.file_system, source, &secrets)?;
    for entry in plan.secret.values() {
        if let SecretEntry::Key { secret, .. } = entry {
            is_named(secret, &secrets)?;
        }
    }
    plan.tasks
        .iter()
        .try_for_each(|task| self::task(task, source, &secrets))
}

fn file_system(
    planned: &FileSystem,
    source: &Source,
    secrets: &BTreeSet<&str>,
) -> Result<(), PlanError> {
    match planned {
        FileSystem::ObjectStore(store) => {
            program::check(&store.program, &store.options)
                .map_err(|error| refused(error.to_string()))?;
            store
                .origins
                .iter()
                .try_for_each(|origin| self::origin(origin, source, secrets))
        }
        FileSystem::Nfs(export) => nfs(&export.server, &export.share, source),
        FileSystem::HostPath(directory) => {
            if matches!(source, Source::HostPath(source) if source.path == directory.path) {
                return Ok(());
            }
            Err(elsewhere(&format!("the nodes' {}", directory.path), source))
        }
    }
}

fn task(planned: &Task, source: &Source, secrets: &BTreeSet<&str>) -> Result<(), PlanError> {
    match planned {
        Task::EnsureBucket(origin) | Task::ProbeObjectStore(origin) | Task::EmptyBucket(origin) => {
            self::origin(origin, source, secrets)
        }
        Task::ProbeNfs { server, share } => probe(server, share, source),
    }
}

fn origin(planned: &OriginRef, source: &Source, secrets: &BTreeSet<&str>) -> Result<(), PlanError> {
    let is_the_sources = matches!(source, Source::ObjectStore(bucket)
        if bucket.endpoint == planned.endpoint && bucket.location.bucket == planned.bucket);
    if !is_the_sources {
        let found = format!("bucket {} at {}", planned.bucket, planned.endpoint);
        return Err(elsewhere(&found, source));
    }
    let named = [&planned.key_secret, &planned.ca_secret];
    named
        .into_iter()
        .flatten()
        .try_for_each(|secret| is_named(secret, secrets))
}

fn nfs(server: &str, share: &str, source: &Source) -> Result<(), PlanError> {
    if matches!(source, Source::Nfs(source) if source.server == server && source.share == share) {
        return Ok(());
    }
    Err(elsewhere(&format!("{server}:{share}"), source))
}

/// A look at the server's root is one at nothing, and what is to be made is not there yet.
fn probe(server: &str, share: &str, source: &Source) -> Result<(), PlanError> {
    let Source::Nfs(export) = source else {
        return Err(elsewhere(&format!("{server}:{share}"), source));
    };
    let bare = export.server.trim_matches(['[', ']']);
    let with_port = [format!("{}:", export.server), format!("[{bare}]:")];
    let port = with_port
        .iter()
        .find_map(|host| server.strip_prefix(host.as_str()));
    let same = server == export.server || port.is_some_and(|port| port.parse::<u16>().is_ok());
    if same && (share == "/" || share == export.share) {
        return Ok(());
    }
    Err(elsewhere(&format!("{server}:{share}"), source))
}

fn elsewhere(found: &str, source: &Source) -> PlanError {
    refused(format!(
        "the plan leads to {found}; it may lead to {}, which the Dataset names",
        source.address()
    ))
}

/// Secrets that a source names.
fn secrets(source: &Source) -> BTreeSet<&str> {
    let ca = match source {
        Source::ObjectStore(bucket) => bucket.ca_secret.as_deref(),
        Source::Nfs(_) | Source::HostPath(_) => None,
    };
    source.key_secret().into_iter().chain(ca).collect()
}

fn is_named(secret: &str, secrets: &BTreeSet<&str>) -> Result<(), PlanError> {
    if secrets.contains(secret) {
        return Ok(());
    }
    let named: Vec<&str> = secrets.iter().copied().collect();
    let named = if named.is_empty() {
        "none".to_owned()
    } else {
        named.join(", ")
    };
    Err(refused(format!(
        "the plan reads Secret {secret}; of Secrets the source names {named}"
    )))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        api::MountSpec,
        plugin::{DatasetRef, HostPathMount, Intent, Mount, NfsMount, ObjectStoreMount},
        source::{BucketPath, HostPathSource, KeySource, NfsSource, ObjectStoreSource},
    };

    fn bucket() -> ObjectStoreSource {
        ObjectStoreSource {
            endpoint: "https://s3".to_owned(),
            location: BucketPath {
                bucket: "books".to_owned(),
                prefix: String::new(),
            },
            region: String::new(),
            keys: KeySource::Secret {
                name: "keys".to_owned(),
            },
            ca_secret: Some("ca".to_owned()),
            readonly: false,
            provision: false,
            remove_on_delete: false,
        }
    }

    fn judge(plan: &StoragePlan, source: Source) -> Result<(), String> {
        let request = StorageRequest {
            dataset: DatasetRef {
                namespace: "ml".to_owned(),
                name: "books".to_owned(),
                uid: "1".to_owned(),
                labels: BTreeMap::new(),
            },
            source,
            mount: MountSpec::default(),
            revalidate_ms: None,
            intent: Intent::Exist,
            config: serde_json::Value::Null,
        };
        check(plan, &request).map_err(|error| error.message)
    }

    fn plan(file_system: FileSystem) -> StoragePlan {
        StoragePlan {
            volume: Volume::Mount(Mount {
                readonly: false,
                file_system,
            }),
            config_map: BTreeMap::new(),
            secret: BTreeMap::new(),
            tasks: Vec::new(),
        }
    }

    fn of_bucket(origin: OriginRef) -> StoragePlan {
        plan(FileSystem::ObjectStore(ObjectStoreMount {
            program: "native".to_owned(),
            options: BTreeMap::new(),
            origins: vec![origin],
            uid: None,
            gid: None,
            umask: 0,
            revalidate_ms: None,
        }))
    }

    #[test]
    fn a_plan_leads_to_what_its_dataset_names() {
        let origin = OriginRef::of(&bucket()).unwrap();
        let source = || Source::ObjectStore(bucket());
        assert_eq!(judge(&of_bucket(origin.clone()), source()), Ok(()));
        let other = |change: fn(&mut OriginRef)| {
            let mut origin = origin.clone();
            change(&mut origin);
            judge(&of_bucket(origin), source()).unwrap_err()
        };
        let endpoint = other(|origin| origin.endpoint = "https://mine".to_owned());
        assert!(endpoint.contains("https://mine"), "{endpoint}");
        let bucket = other(|origin| origin.bucket = "theirs".to_owned());
        assert!(bucket.contains("bucket theirs"), "{bucket}");
        let keys = other(|origin| origin.key_secret = Some("theirs".to_owned()));
        assert!(
            keys.contains("Secret theirs") && keys.contains("ca, keys"),
            "{keys}"
        );
        let program = {
            let mut plan = of_bucket(origin.clone());
            let Volume::Mount(mount) = &mut plan.volume;
            let FileSystem::ObjectStore(store) = &mut mount.file_system else {
                panic!("a bucket")
            };
            store.program = "sh".to_owned();
            judge(&plan, source()).unwrap_err()
        };
        assert!(program.contains("sh"), "{program}");
    }

    #[test]
    fn no_plan_reads_another_secret_or_writes_where_the_dataset_may_not() {
        let origin = OriginRef::of(&bucket()).unwrap();
        let mut plan = of_bucket(origin);
        plan.secret.insert(
            "x".to_owned(),
            SecretEntry::Key {
                secret: "dlf-ca".to_owned(),
                key: "tls.key".to_owned(),
                optional: false,
            },
        );
        let refused = judge(&plan, Source::ObjectStore(bucket())).unwrap_err();
        assert!(refused.contains("Secret dlf-ca"), "{refused}");
        plan.secret.clear();
        let readonly = ObjectStoreSource {
            readonly: true,
            ..bucket()
        };
        let refused = judge(&plan, Source::ObjectStore(readonly)).unwrap_err();
        assert!(refused.contains("read-only"), "{refused}");
    }

    #[test]
    fn servers_and_paths_are_the_datasets_own() {
        let export = |server: &str, share: &str| {
            plan(FileSystem::Nfs(NfsMount {
                server: server.to_owned(),
                share: share.to_owned(),
                options: String::new(),
                create: false,
            }))
        };
        let source = || {
            Source::Nfs(NfsSource {
                server: "nfs".to_owned(),
                share: "/share".to_owned(),
                create: false,
                readonly: false,
                mount_options: String::new(),
            })
        };
        assert_eq!(judge(&export("nfs", "/share"), source()), Ok(()));
        for (server, share) in [("other", "/share"), ("nfs", "/")] {
            assert!(judge(&export(server, share), source()).is_err(), "{server}");
        }
        let probes = |server: &str, share: &str| {
            let (server, share) = (server.to_owned(), share.to_owned());
            let mut plan = export("nfs", "/share");
            plan.tasks = vec![Task::ProbeNfs { server, share }];
            judge(&plan, source())
        };
        assert_eq!(probes("nfs:2050", "/"), Ok(()));
        assert!(probes("nfs:2050", "/other").is_err());
        assert!(probes("nfs:x.example.com", "/share").is_err());
        let refused = probes("other", "/share").unwrap_err();
        assert!(refused.contains("other:/share"), "{refused}");

        let directory = |path: &str| {
            plan(FileSystem::HostPath(HostPathMount {
                path: path.to_owned(),
                create: false,
            }))
        };
        let source = || {
            Source::HostPath(HostPathSource {
                path: "/data".to_owned(),
                create: false,
                readonly: false,
            })
        };
        assert_eq!(judge(&directory("/data"), source()), Ok(()));
        assert!(
            judge(&directory("/"), source())
                .unwrap_err()
                .contains("nodes' /")
        );
    }
}
