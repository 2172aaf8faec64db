use std::error::Error;

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use super::Cluster;
use crate::arguments::Connection;

/// The cluster that the options and the kubeconfig name; nothing is asked of it yet.
pub(crate) async fn connect(connection: &Connection) -> Result<Cluster, Box<dyn Error>> {
    let mut config = config(connection).await?;
    // One deadline for all of a request, which says so itself.
    config.connect_timeout = None;
    if let Some(user) = &connection.user {
        config.auth_info.impersonate = Some(user.clone());
        if !connection.groups.is_empty() {
            config.auth_info.impersonate_groups = Some(connection.groups.clone());
        }
    }
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config)?;
    Ok(Cluster { client, namespace })
}

async fn config(connection: &Connection) -> Result<Config, Box<dyn Error>> {
    let options = KubeConfigOptions {
        context: connection.context.clone(),
        ..KubeConfigOptions::default()
    };
    let file = match &connection.kubeconfig {
        Some(file) => Kubeconfig::read_from(file)
            .map_err(|error| format!("--kubeconfig: {}", said(&error)))?,
        None => {
            match Kubeconfig::read() {
                Ok(file) => file,
                // A pod has no kubeconfig, and its service account instead.
                Err(error) => {
                    let inside = matches!(error, KubeconfigError::ReadConfig(..))
                        .then(Config::incluster)
                        .and_then(Result::ok);
                    return inside.ok_or_else(|| {
                    format!("there is no cluster to ask: {}; set KUBECONFIG, or give --kubeconfig FILE", said(&error)).into()
                });
                }
            }
        }
    };
    let known: Vec<String> = file
        .contexts
        .iter()
        .map(|context| context.name.clone())
        .collect();
    Config::from_custom_kubeconfig(file, &options)
        .await
        .map_err(|error| {
            let contexts = if known.is_empty() {
                "the kubeconfig has no contexts".to_owned()
            } else {
                format!("the kubeconfig has the contexts {}", known.join(", "))
            };
            format!("{error}; {contexts}").into()
        })
}

fn said(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(cause, file) => format!("{}: {cause}", file.display()),
        other => other.to_string(),
    }
}
