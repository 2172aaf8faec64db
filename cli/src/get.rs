//! `kubectl dlf get`.

use std::{error::Error, process::ExitCode};

use dlf_core::condition::ConditionType;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    arguments::{Connection, ShownWide},
    cluster, datasets,
    datasets::View,
    output,
    text::{self, NOTHING},
};

/// What is asked for.
pub(crate) struct Asked {
    pub(crate) name: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) all: bool,
}

pub(crate) async fn run(
    asked: &Asked,
    shown: ShownWide,
    connection: &Connection,
) -> Result<ExitCode, Box<dyn Error>> {
    let cluster = cluster::connect(connection).await?;
    let namespace = asked.namespace.as_ref().unwrap_or(&cluster.namespace);
    let within = (!asked.all).then_some(namespace.as_str());
    let found = datasets::list(&cluster, within, asked.name.as_deref()).await?;
    if let (Some(name), true) = (&asked.name, found.is_empty()) {
        return Err(datasets::missing(&cluster, namespace, name).await);
    }
    match shown.program() {
        Some(format) => output::print(&objects(found, asked.name.is_some()), format)?,
        None if found.is_empty() => eprintln!("{}", nothing(within)),
        None => {
            let columns = Columns {
                namespace: asked.all,
                wide: shown.is_wide(),
            };
            output::show(&table(&found, columns, Timestamp::now()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The objects as kubectl gives them: the one that was named, or a list.
fn objects(found: Vec<View>, named: bool) -> Value {
    let mut objects: Vec<Value> = found.into_iter().map(|view| view.object).collect();
    match objects.len() {
        1 if named => objects.remove(0),
        _ => json!({ "apiVersion": "v1", "kind": "List", "items": objects }),
    }
}

fn nothing(namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!(
            "no Datasets in namespace {namespace}; -A shows those of all namespaces, -n those of another"
        ),
        None => "no Datasets in this cluster".to_owned(),
    }
}

/// Which columns a table has besides those it always has.
#[derive(Clone, Copy)]
struct Columns {
    namespace: bool,
    wide: bool,
}

fn table(found: &[View], columns: Columns, now: Timestamp) -> String {
    let mut head = vec![
        "NAME", "TYPE", "SOURCE", "STATUS", "CACHE", "USED BY", "AGE",
    ];
    if columns.namespace {
        head.insert(0, "NAMESPACE");
    }
    if columns.wide {
        head.extend(["GROUP", "NODES", "READ", "REASON"]);
    }
    let rows: Vec<Vec<String>> = found.iter().map(|view| row(view, columns, now)).collect();
    text::table(&head, &rows)
}

fn row(view: &View, columns: Columns, now: Timestamp) -> Vec<String> {
    let nothing = || NOTHING.to_owned();
    // A Dataset that no pod has used yet has no figures.
    let usage = view
        .status()
        .map(|status| status.usage.clone().unwrap_or_default());
    let usage = usage.as_ref();
    let age = view.created().map(|created| text::age(created, now));
    let mut row = vec![
        view.name().to_owned(),
        view.kind().to_owned(),
        view.address(),
        view.phase().to_owned(),
        view.cached(),
        usage.map_or_else(nothing, |usage| usage.consumers.to_string()),
        age.unwrap_or_else(nothing),
    ];
    if columns.namespace {
        row.insert(0, view.namespace().to_owned());
    }
    if columns.wide {
        let ready = view.condition(ConditionType::Ready);
        row.extend([
            view.group.name().to_owned(),
            usage.map_or_else(nothing, |usage| usage.nodes.to_string()),
            usage.map_or_else(nothing, |usage| text::bytes(usage.bytes_read)),
            ready.map_or_else(nothing, |ready| ready.reason.clone()),
        ]);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(object: Value) -> View {
        View::read(object).unwrap()
    }

    fn books() -> View {
        view(json!({
            "apiVersion": "com.ie.ibm.hpsys/v1alpha1", "kind": "Dataset",
            "metadata": { "name": "books", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [] },
            "spec": { "local": { "type": "COS", "endpoint": "http://s3", "bucket": "books" } },
            "status": {
                "source": "http://s3/books",
                "provision": { "status": "Pending" },
                "caching": { "status": "OK" },
                "cache": { "plugin": "nginx" },
                "usage": { "consumers": 2, "nodes": 1, "bytesRead": 2048 },
                "conditions": [{
                    "type": "Ready", "status": "False", "reason": "NoSuchBucket", "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }],
            },
        }))
    }

    fn fresh() -> View {
        view(json!({
            "apiVersion": "datashim.io/v1alpha1",
            "metadata": { "name": "fresh", "namespace": "ns", "deletionTimestamp": "2026-01-01T00:00:00Z" },
            "spec": { "local": { "type": "NFS", "server": "nfs", "share": "/x" } },
        }))
    }

    #[test]
    fn a_table_says_how_each_dataset_is() {
        let now = "2026-01-01T00:05:00Z".parse().unwrap();
        let narrow = Columns {
            namespace: false,
            wide: false,
        };
        assert_eq!(
            table(&[books(), fresh()], narrow, now),
            "\
NAME    TYPE   SOURCE            STATUS     CACHE        USED BY   AGE
books   COS    http://s3/books   Pending    OK (nginx)   2         5m
fresh   NFS    nfs:/x            Deleting   -            -         -
"
        );
        let wide = Columns {
            namespace: true,
            wide: true,
        };
        assert_eq!(
            table(&[books()], wide, now),
            "\
NAMESPACE   NAME    TYPE   SOURCE            STATUS    CACHE        USED BY   AGE   GROUP              NODES   READ      REASON
ns          books   COS    http://s3/books   Pending   OK (nginx)   2         5m    com.ie.ibm.hpsys   1       2.0 KiB   NoSuchBucket
"
        );
    }

    #[test]
    fn programs_get_objects() {
        let one = objects(vec![books()], true);
        assert_eq!(one["metadata"]["name"], "books");
        assert_eq!(one["metadata"]["managedFields"], Value::Null);
        assert_eq!(objects(vec![books()], false)["kind"], "List");
        assert_eq!(objects(Vec::new(), false)["items"], json!([]));
    }
}
