//! `kubectl dlf doctor`.

mod datasets;
mod leader;
mod plugins;
mod registered;
mod report;
mod server;
mod workloads;

use std::{error::Error, process::ExitCode};

use serde_json::Value;

#[cfg(test)]
use self::report::Outcome;
use self::report::{Check, Report};
use crate::{
    arguments::{Connection, Installed, Shown},
    cluster::{self, Cluster, Kind, Looked},
    output,
};

pub(crate) async fn run(
    installed: &Installed,
    shown: Shown,
    connection: &Connection,
) -> Result<ExitCode, Box<dyn Error>> {
    let cluster = cluster::connect(connection).await?;
    let report = examine(&cluster, &installed.dlf_namespace).await;
    match shown.output {
        Some(format) => output::print(&report, format)?,
        None => output::show(&report.to_string())?,
    }
    Ok(output::exit_code(report.passed()))
}

async fn examine(cluster: &Cluster, namespace: &str) -> Report {
    let mut report = Report {
        namespace: namespace.to_owned(),
        checks: Vec::new(),
    };
    let checks = &mut report.checks;
    match server::version(cluster).await {
        Ok(check) => checks.push(check),
        // All others would only wait for the same silence.
        Err(check) => {
            checks.push(check);
            return report;
        }
    }
    checks.extend(server::kinds(cluster).await);
    let (namespace, operator) = workloads::operator(cluster, namespace).await;
    checks.push(operator);
    checks.push(workloads::deployment(cluster, &namespace, "dlf-worker", "worker").await);
    checks.push(workloads::drivers(cluster, &namespace).await);
    checks.extend(workloads::mounters(cluster, &namespace).await);
    checks.push(registered::driver(cluster).await);
    checks.extend(registered::webhooks(cluster, &namespace).await);
    checks.extend(registered::policies(cluster).await);
    checks.push(leader::lease(cluster, &namespace).await);
    checks.push(plugins::answers(cluster, &namespace).await);
    checks.push(datasets::ready(cluster).await);
    report.namespace = namespace;
    report
}

/// Judges an object that has to be there.
async fn object(
    cluster: &Cluster,
    (kind, namespace, name): (Kind, Option<&str>, &str),
    remedy: &str,
    judge: impl FnOnce(&Value) -> Check,
) -> Check {
    let title = format!("{} {name}", kind.as_str());
    match Looked::from(cluster.get(kind, namespace, name).await) {
        Looked::Seen(Some(object)) => judge(&object),
        Looked::Seen(None) => Check::fail(title, absent(namespace), remedy),
        Looked::Forbidden => Check::skipped(title, "not allowed to look"),
        Looked::Failed(reason) => unknown(title, &reason),
    }
}

fn absent(namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("does not exist in namespace {namespace}"),
        None => "does not exist".to_owned(),
    }
}

/// Where DLF writes why it does not work.
fn log(namespace: &str) -> String {
    format!("kubectl -n {namespace} logs deployment/dlf-operator")
}

/// A check whose question was not answered.
fn unknown(title: impl Into<String>, reason: &str) -> Check {
    Check::fail(
        title,
        reason,
        "run this again; if it stays so, the API server is not well",
    )
}
