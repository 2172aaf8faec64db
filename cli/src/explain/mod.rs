//! `kubectl dlf explain`.

mod bucket;
mod cache;
mod events;
mod explanation;
mod facts;
mod show;
mod source;
mod verdict;

#[cfg(test)]
mod tests;

use std::{error::Error, process::ExitCode};

use dlf_core::api::ApiGroup;
use k8s_openapi::jiff::Timestamp;

use self::{explanation::Explanation, facts::Facts};
use crate::{
    arguments::{Connection, Shown},
    cluster, datasets,
    datasets::View,
    output,
};

/// What is asked for.
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    pub(crate) group: Option<ApiGroup>,
}

pub(crate) async fn run(
    asked: &Asked,
    shown: Shown,
    connection: &Connection,
) -> Result<ExitCode, Box<dyn Error>> {
    let cluster = cluster::connect(connection).await?;
    let namespace = asked.namespace.as_ref().unwrap_or(&cluster.namespace);
    let mut found = datasets::list(&cluster, Some(namespace), Some(&asked.name)).await?;
    if found.is_empty() {
        return Err(datasets::missing(&cluster, namespace, &asked.name).await);
    }
    found.retain(|view| asked.group.is_none_or(|group| view.group == group));
    let view = one(found, asked)?;
    let facts = Facts::gather(&cluster, view).await;
    let explanation = Explanation::of(&facts, Timestamp::now());
    match shown.output {
        Some(format) => output::print(&explanation, format)?,
        None => output::show(&explanation.to_string())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The one Dataset that is meant: both groups may have one of that name.
fn one(mut found: Vec<View>, asked: &Asked) -> Result<View, String> {
    let name = &asked.name;
    match (found.pop(), found.is_empty(), asked.group) {
        (Some(view), true, _) => Ok(view),
        (None, _, Some(group)) => Err(format!(
            "{group} has no Dataset {name} here, the other group has; leave out --group"
        )),
        _ => {
            let groups = ApiGroup::ALL.map(|group| format!("--group {group}"));
            Err(format!(
                "both API groups have a Dataset {name} here, of which the younger is not served; say which one to explain: {}",
                groups.join(" or ")
            ))
        }
    }
}
