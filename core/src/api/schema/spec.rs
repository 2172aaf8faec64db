use serde_json::{Value, json};

use super::rules;
use crate::decision::REPLICAS_MAX;
use crate::source::keys::{COS, HOST, NFS};

const LOCAL: &str = "spec.local";
const REMOTE: &str = "spec.remote";
const LOCAL_TYPES: [&str; 4] = ["COS", "NFS", "HOST", "OBC"];
const FLAGS: [&str; 4] = ["readonly", "provision", "createDirPVC", "removeOnDelete"];
const OBC: [&str; 2] = ["claim", "readonly"];
const CATALOG_ENTRY: [&str; 11] = [
    "catalogURI",
    "table",
    "endpoint",
    "accessKeyID",
    "secretAccessKey",
    "secret-name",
    "secret-namespace",
    "region",
    "ca-secret-name",
    "mountAllowed",
    "partitions",
];

/// `kubectl explain` knows of a map's keys only what its description says.
const LOCAL_KEYS: &str = "A source the cluster can reach. Every value is a string; flags are \"true\" or \"false\".\n\
    type COS (any S3): endpoint (http or https URL); bucket (BUCKET or BUCKET/PREFIX); folder (the prefix, another way to \
    say it); region (may be empty); accessKeyID and secretAccessKey (empty: anonymous), or secret-name (a Secret of this \
    namespace with these two keys, which wins; temporary ones with their sessionToken; AWS_ACCESS_KEY_ID and so on are \
    taken as the same) with secret-namespace (this namespace); readonly; provision (make the \
    bucket if there is none); removeOnDelete (delete a bucket that provision made, and all in it, with the Dataset); \
    ca-secret-name (a Secret with ca.crt: a private CA for https).\n\
    type NFS: server; share (absolute path of the export); createDirPVC (make the directory if there is none); readonly; \
    mountOptions.\n\
    type HOST: path (absolute, below a prefix that the configuration allows); hostPathType (Directory or CreateNew); \
    permissions (ReadWrite or ReadOnly); readonly.\n\
    type OBC: claim (an ObjectBucketClaim of this namespace); readonly.";
const REMOTE_KEYS: &str = "A source to be looked up. Every value is a string; flags are \"true\" or \"false\".\n\
    type CatalogEntry: catalogURI (HOST or HOST:PORT); table (DB/TABLE or TABLE); endpoint, region, keys and CA as for \
    type COS; mountAllowed; partitions (a filter).";

/// Longer than any URL, path or filter a source needs; keeps the rules' cost within the limit.
const VALUE_LENGTH_MAX: u32 = 2048;
/// More keys than any source takes.
const KEYS_MAX: u32 = 24;

pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "Where the data is and how it is to be served.",
        "x-kubernetes-validations": [rules::one_source()],
        "properties": {
            "local": strings(LOCAL_KEYS, &local_rules()),
            "remote": strings(REMOTE_KEYS, &remote_rules()),
            "type": { "type": "string", "enum": ["ARCHIVE"], "description": "ARCHIVE takes its target from local." },
            "url": text(VALUE_LENGTH_MAX, "ARCHIVE: where the archive is."),
            "format": text(64, "ARCHIVE: its format."),
            "extract": { "type": "string", "enum": ["true", "false"], "description": "ARCHIVE: unpack it." },
            "mount": mount(),
            "cache": cache(),
            "scheduling": scheduling(),
        },
    })
}

fn strings(description: &str, rules: &[Value]) -> Value {
    json!({
        "type": "object",
        "description": description,
        "maxProperties": KEYS_MAX,
        "additionalProperties": { "type": "string", "maxLength": VALUE_LENGTH_MAX },
        "x-kubernetes-validations": rules,
    })
}

fn local_rules() -> Vec<Value> {
    let mut all = vec![
        rules::typed(LOCAL, &LOCAL_TYPES),
        rules::one_of(LOCAL, "type", &LOCAL_TYPES),
        rules::required(
            LOCAL,
            "COS",
            "endpoint",
            "the http or https URL of the object store",
        ),
        rules::required(LOCAL, "COS", "bucket", "BUCKET or BUCKET/PREFIX"),
        rules::required(LOCAL, "NFS", "server", "the server's host name or address"),
        rules::required(LOCAL, "NFS", "share", "the absolute path of the export"),
        rules::required(
            LOCAL,
            "HOST",
            "path",
            "the absolute path of a directory on the nodes",
        ),
        rules::required(LOCAL, "OBC", "claim", "the name of an ObjectBucketClaim"),
        rules::only(LOCAL, "COS", &COS),
        rules::only(LOCAL, "NFS", &NFS),
        rules::only(LOCAL, "HOST", &HOST),
        rules::only(LOCAL, "OBC", &OBC),
        rules::http_url(LOCAL, "endpoint"),
        rules::below_root(LOCAL, "path"),
        rules::one_of(LOCAL, "hostPathType", &["Directory", "CreateNew"]),
        rules::one_of(LOCAL, "permissions", &["ReadWrite", "ReadOnly"]),
    ];
    all.extend(FLAGS.map(|flag| rules::one_of(LOCAL, flag, &["true", "false"])));
    all
}

fn remote_rules() -> Vec<Value> {
    vec![
        rules::typed(REMOTE, &["CatalogEntry"]),
        rules::one_of(REMOTE, "type", &["CatalogEntry"]),
        rules::required(
            REMOTE,
            "CatalogEntry",
            "catalogURI",
            "host or host:port of the catalog",
        ),
        rules::required(REMOTE, "CatalogEntry", "table", "DB/TABLE or TABLE"),
        rules::only(REMOTE, "CatalogEntry", &CATALOG_ENTRY),
        rules::http_url(REMOTE, "endpoint"),
        rules::one_of(REMOTE, "mountAllowed", &["true", "false"]),
    ]
}

fn mount() -> Value {
    json!({
        "type": "object",
        "description": "How pods see the files.",
        "properties": {
            "path": pattern("^/[^:]*$", 1024, "Absolute path in the container; /mnt/datasets/NAME by default."),
            "uid": id("Owner of all files (COS only)."),
            "gid": id("Group of all files (COS only)."),
            "umask": pattern("^[0-7]{3,4}$", 4, "Permission bits to take away from 0777, in octal (COS only)."),
            "size": quantity("What the claim shows and quotas count; fixed when the claim is made."),
            "program": { "type": "string", "enum": ["native", "s3fs"], "description": "The file system's program (COS only)." },
        },
    })
}

fn cache() -> Value {
    json!({
        "type": "object",
        "description": "Whether and how to cache.",
        "properties": {
            "mode": { "type": "string", "enum": ["Off", "Advise", "Auto", "Always"], "description": "Who decides." },
            "plugin": text(63, "Name of the caching plugin."),
            "capacity": quantity("Ceiling of the total."),
            "replicas": { "type": "integer", "minimum": 1, "maximum": REPLICAS_MAX, "description": "Ceiling of the number of shards." },
            "medium": { "type": "string", "enum": ["Disk", "Memory"], "description": "What it is kept on." },
            "revalidate": pattern("^(never|[0-9]+(ms|s|m|h))$", 16, "How stale a read may be; 0s asks the source each time."),
            "warmup": {
                "type": "object",
                "description": "What to load before anyone asks.",
                "properties": {
                    "when": { "type": "string", "enum": ["Create", "FirstUse", "None"], "description": "When; Create without it." },
                    "on": { "type": "string", "enum": ["Create", "FirstUse", "None"], "description": "The same as when, which goes before it. In YAML it needs quotes: the bare word is true." },
                    "paths": { "type": "array", "maxItems": 64, "items": { "type": "string", "maxLength": 1024 }, "description": "Prefixes to load." },
                },
            },
            "idleAfter": duration("Withdraw an automatic cache when unused for this long."),
            "priority": { "type": "integer", "format": "int32", "description": "Higher goes first when budgets are short." },
        },
    })
}

fn scheduling() -> Value {
    json!({
        "type": "object",
        "description": "How pods are drawn to the nodes that hold their data.",
        "properties": {
            "locality": { "type": "string", "enum": ["Ignore", "Prefer", "Require", "WaitForCache"], "description": "How strongly." },
            "deadline": duration("After this a pod starts anyway."),
        },
    })
}

fn text(length_max: u32, description: &str) -> Value {
    json!({ "type": "string", "maxLength": length_max, "description": description })
}

fn pattern(pattern: &str, length_max: u32, description: &str) -> Value {
    json!({ "type": "string", "pattern": pattern, "maxLength": length_max, "description": description })
}

fn duration(description: &str) -> Value {
    pattern("^[0-9]+(ms|s|m|h)$", 16, description)
}

fn quantity(description: &str) -> Value {
    pattern(
        "^[0-9]+(\\.[0-9]+)?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$",
        32,
        description,
    )
}

fn id(description: &str) -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX, "description": description })
}
