//! What `helm uninstall` runs first (`dlf-operator uninstall`): takes away what the operator made,
//! which Helm knows nothing of, or refuses while a pod uses a dataset.
//!
//! It does not need a working operator. CRDs and Datasets stay, so that an installation to come
//! makes everything again.

mod caches;
mod doors;
mod remains;
mod users;

use dlf_core::api::ApiGroup;
use kube::Client;
use thiserror::Error;
use tracing::{info, warn};

use self::users::Users;

/// Why DLF stays.
#[derive(Debug, Error)]
pub enum UninstallError {
    /// Somebody's data would go from under him.
    #[error(
        "DLF stays, because {0}. Delete these pods first and uninstall again; or `helm rollback` (Helm upgrades nothing that \
         it began to uninstall), upgrade with `--set uninstall.force=true` and uninstall: their open mounts then go on until their node's mounter stops, and their files are gone after that"
    )]
    InUse(String),
    /// The operator goes on running and would make everything again.
    #[error("DLF stays, because the operator's pods do not end within {0} s")]
    OperatorStays(u64),
    /// The API server refused something.
    #[error("{doing}: {source}; what has been done so far is not undone, uninstall again to go on")]
    Api {
        /// What.
        doing: &'static str,
        /// What it said.
        source: kube::Error,
    },
}

/// Names what failed.
trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, UninstallError>;
}

impl<T> Doing<T> for kube::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, UninstallError> {
        self.map_err(|source| UninstallError::Api { doing, source })
    }
}

/// Takes everything away from our `namespace`, that of `caches` and Datasets of these groups. With `force` whether or not a pod
/// uses a dataset.
pub async fn run(
    client: Client,
    namespace: &str,
    caches: &str,
    groups: &[ApiGroup],
    force: bool,
) -> Result<(), UninstallError> {
    refuse_if_used(&client, force).await?;
    // Without an operator, pods that ask for datasets are refused: nobody can begin to use one.
    let replicas = doors::stop_operator(&client, namespace).await?;
    if let Err(used) = refuse_if_used(&client, force).await {
        doors::start_operator(&client, namespace, replicas).await?;
        return Err(used);
    }
    doors::remove_webhooks(&client).await?;
    info!("admission has stopped: all pods start without us from now on");
    remains::remove(&client, namespace, groups).await?;
    info!("what Datasets made is gone; Datasets and CRDs stay");
    caches::remove(&client, caches).await?;
    Ok(())
}

async fn refuse_if_used(client: &Client, force: bool) -> Result<(), UninstallError> {
    let users = Users::find(client).await?;
    match users.to_string() {
        found if found.is_empty() => Ok(()),
        found if force => {
            warn!("{found}, and is ignored by force");
            Ok(())
        }
        found => Err(UninstallError::InUse(found)),
    }
}
