use std::collections::BTreeMap;

use http::{Uri, uri::Authority};

use super::{
    BucketPath, HostPathSource, KeySource, NfsSource, ObjectStoreSource, Source, SourceError,
    SourceErrorKind as Kind,
};
use crate::{api::DatasetSpec, labels::is_dns_subdomain, names::LABEL_REMOVE_ON_DELETE};

type Labels = BTreeMap<String, String>;

pub(super) fn source(
    spec: &DatasetSpec,
    labels: &Labels,
    namespace: &str,
) -> Result<Source, SourceError> {
    if let Some(detail) = &spec.unreadable {
        let detail = detail.clone();
        return Err(SourceError::new("spec", Kind::Unreadable { detail }));
    }
    if let Some(kind) = &spec.kind {
        return Err(if kind == "ARCHIVE" {
            SourceError::new("spec.type", Kind::NotSupported { kind: "ARCHIVE" })
        } else {
            invalid("spec.type", kind, "ARCHIVE, or no type")
        });
    }
    match (&spec.local, &spec.remote) {
        (Some(local), None) => self::local(
            &Fields {
                prefix: "spec.local",
                map: local,
            },
            labels,
            namespace,
        ),
        (None, Some(_)) => Err(SourceError::new(
            "spec.remote.type",
            Kind::NotSupported {
                kind: "CatalogEntry",
            },
        )),
        (found_local, _) => {
            let found = if found_local.is_some() {
                "both local and remote"
            } else {
                "neither"
            };
            Err(SourceError::new(
                "spec",
                Kind::NotOneSource {
                    found: found.to_owned(),
                },
            ))
        }
    }
}

fn local(fields: &Fields<'_>, labels: &Labels, namespace: &str) -> Result<Source, SourceError> {
    match fields.required("type", "one of COS, NFS, HOST, OBC")? {
        "COS" => object_store(fields, labels, namespace).map(Source::ObjectStore),
        "NFS" => nfs(fields).map(Source::Nfs),
        "HOST" => host_path(fields).map(Source::HostPath),
        "OBC" => Err(SourceError::new(
            "spec.local.type",
            Kind::NotSupported { kind: "OBC" },
        )),
        other => Err(invalid(
            "spec.local.type",
            other,
            "one of COS, NFS, HOST, OBC",
        )),
    }
}

fn object_store(
    fields: &Fields<'_>,
    labels: &Labels,
    namespace: &str,
) -> Result<ObjectStoreSource, SourceError> {
    fields.only("COS", &super::keys::COS)?;
    let endpoint = fields.required("endpoint", "the http or https URL of the object store")?;
    check_endpoint(endpoint)?;
    let bucket = fields.required("bucket", "BUCKET or BUCKET/PREFIX")?;
    if let Some(other) = fields
        .optional("secret-namespace")
        .filter(|other| *other != namespace)
    {
        return Err(invalid(
            "spec.local.secret-namespace",
            other,
            "the Dataset's own namespace, or no such key",
        ));
    }
    let label = labels
        .get(LABEL_REMOVE_ON_DELETE)
        .is_some_and(|value| value == "true");
    Ok(ObjectStoreSource {
        endpoint: endpoint.to_owned(),
        location: BucketPath::parse(bucket, fields.optional("folder"))?,
        region: fields.optional("region").unwrap_or_default().to_owned(),
        keys: key_source(fields)?,
        ca_secret: fields.secret("ca-secret-name")?,
        readonly: fields.flag("readonly")?,
        provision: fields.flag("provision")?,
        remove_on_delete: label || fields.flag("removeOnDelete")?,
    })
}

fn check_endpoint(endpoint: &str) -> Result<(), SourceError> {
    const EXPECTED: &str = "an http or https URL of host and port alone, as https://s3.example.com:9000, with a port from 1 to \
                            65535 or none";
    let refused = || invalid("spec.local.endpoint", endpoint, EXPECTED);
    let uri: Uri = endpoint.parse().map_err(|_| refused())?;
    let scheme_fits = matches!(uri.scheme_str(), Some("http" | "https"));
    let plain = uri.authority().is_some_and(is_host_and_port)
        && uri.query().is_none()
        && matches!(uri.path(), "" | "/");
    if scheme_fits && plain {
        Ok(())
    } else {
        Err(refused())
    }
}

/// No keys before it, and a port that exists: the parser takes any digits behind the colon.
fn is_host_and_port(authority: &Authority) -> bool {
    let host = authority.host();
    let behind = authority.as_str().strip_prefix(host);
    let port = behind.and_then(|behind| behind.strip_prefix(':'));
    let exists = |port: &str| {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        digits && port.parse().is_ok_and(|port: u16| port > 0)
    };
    !host.is_empty() && (behind == Some("") || port.is_some_and(exists))
}

fn key_source(fields: &Fields<'_>) -> Result<KeySource, SourceError> {
    if let Some(name) = fields.secret("secret-name")? {
        return Ok(KeySource::Secret { name });
    }
    match (
        fields.optional("accessKeyID"),
        fields.optional("secretAccessKey"),
    ) {
        (None, None) => Ok(KeySource::Anonymous),
        (Some(id), Some(secret)) => Ok(KeySource::Inline {
            access_key_id: id.to_owned(),
            secret_access_key: secret.to_owned(),
        }),
        (Some(_), None) => {
            Err(fields.missing("secretAccessKey", "the secret that goes with accessKeyID"))
        }
        (None, Some(_)) => {
            Err(fields.missing("accessKeyID", "the id that goes with secretAccessKey"))
        }
    }
}

fn nfs(fields: &Fields<'_>) -> Result<NfsSource, SourceError> {
    fields.only("NFS", &super::keys::NFS)?;
    let server = fields.required("server", "the NFS server's host name or address")?;
    if server.contains(|c: char| matches!(c, '/' | ',') || c.is_whitespace() || c.is_control()) {
        return Err(invalid(
            "spec.local.server",
            server,
            "a host name or an address",
        ));
    }
    let share = fields.required("share", "the absolute path of the export")?;
    check_absolute("spec.local.share", share)?;
    Ok(NfsSource {
        server: server.to_owned(),
        share: share.to_owned(),
        create: fields.flag("createDirPVC")?,
        readonly: fields.flag("readonly")?,
        mount_options: fields
            .optional("mountOptions")
            .unwrap_or_default()
            .to_owned(),
    })
}

fn host_path(fields: &Fields<'_>) -> Result<HostPathSource, SourceError> {
    fields.only("HOST", &super::keys::HOST)?;
    let path = fields.required("path", "the absolute path of a directory on the nodes")?;
    check_absolute("spec.local.path", path)?;
    if path == "/" {
        return Err(invalid(
            "spec.local.path",
            path,
            "a directory below /: a node's root is no dataset",
        ));
    }
    let create = match fields.optional("hostPathType") {
        None | Some("Directory") => false,
        Some("CreateNew") => true,
        Some(other) => {
            return Err(invalid(
                "spec.local.hostPathType",
                other,
                "Directory or CreateNew",
            ));
        }
    };
    let readonly = match fields.optional("permissions") {
        None | Some("ReadWrite") => fields.flag("readonly")?,
        Some("ReadOnly") => true,
        Some(other) => {
            return Err(invalid(
                "spec.local.permissions",
                other,
                "ReadWrite or ReadOnly",
            ));
        }
    };
    Ok(HostPathSource {
        path: path.trim_end_matches('/').to_owned(),
        create,
        readonly,
    })
}

fn check_absolute(key: &str, path: &str) -> Result<(), SourceError> {
    let normal = path.strip_prefix('/').is_some_and(|rest| {
        let inner = rest.strip_suffix('/').unwrap_or(rest);
        rest.is_empty()
            || inner
                .split('/')
                .all(|part| !matches!(part, "" | "." | ".."))
    });
    if normal && !path.contains(char::is_control) {
        return Ok(());
    }
    Err(invalid(
        key,
        path,
        "an absolute path without empty parts, `.` or `..`",
    ))
}

fn invalid(key: &str, found: &str, expected: &'static str) -> SourceError {
    SourceError::new(
        key,
        Kind::Invalid {
            found: found.to_owned(),
            expected,
        },
    )
}

/// A map of strings that knows where in the object it stands.
struct Fields<'a> {
    prefix: &'static str,
    map: &'a BTreeMap<String, String>,
}

impl<'a> Fields<'a> {
    /// A key's value; an empty one counts as absent, as it did in the original.
    fn optional(&self, key: &str) -> Option<&'a str> {
        self.map
            .get(key)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    fn required(&self, key: &str, expected: &'static str) -> Result<&'a str, SourceError> {
        self.optional(key)
            .ok_or_else(|| self.missing(key, expected))
    }

    fn missing(&self, key: &str, expected: &'static str) -> SourceError {
        SourceError::new(format!("{}.{key}", self.prefix), Kind::Missing { expected })
    }

    /// The name of a Secret: it becomes a part of a path to the API server.
    fn secret(&self, key: &str) -> Result<Option<String>, SourceError> {
        match self.optional(key) {
            Some(name) if !is_dns_subdomain(name) => Err(invalid(
                &format!("{}.{key}", self.prefix),
                name,
                "the name of a Secret of this namespace: lower-case letters, digits, hyphens and dots",
            )),
            name => Ok(name.map(str::to_owned)),
        }
    }

    fn flag(&self, key: &str) -> Result<bool, SourceError> {
        match self.optional(key) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(invalid(
                &format!("{}.{key}", self.prefix),
                other,
                "\"true\" or \"false\"",
            )),
        }
    }

    fn only(&self, kind: &'static str, known: &[&str]) -> Result<(), SourceError> {
        let unknown = self
            .map
            .keys()
            .find(|key| *key != "type" && !known.contains(&key.as_str()));
        match unknown {
            None => Ok(()),
            Some(key) => Err(SourceError::new(
                format!("{}.{key}", self.prefix),
                Kind::Unknown {
                    kind,
                    expected: known.join(", "),
                },
            )),
        }
    }
}
