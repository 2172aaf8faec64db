//! One client of the API server for the process, on a runtime with one background thread.

use std::{future::Future, sync::OnceLock, time::Duration};

use kube::{
    Api, Client, Config, Error,
    api::DynamicObject,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
    time::timeout,
};

use crate::{kinds::Kind, settings};

/// An answer takes milliseconds. An API server that needs longer than this is as good as away.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        let built = builder.worker_threads(1).enable_all().build();
        built.unwrap_or_else(|error| panic!("no runtime: {error}"))
    })
}

async fn config(kubeconfig: &str) -> Result<Config, KubeconfigError> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
}

/// The client, with the rights of the kubeconfig of the test cluster.
///
/// # Panics
/// Without a kubeconfig.
pub fn client() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        // Fails only where a provider is installed already, and then it is this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig = settings().get("KUBECONFIG");
        let connect = async {
            let config = config(&kubeconfig).await.map_err(|error| error.to_string());
            Client::try_from(config?).map_err(|error| error.to_string())
        };
        let client = runtime().block_on(connect);
        client.unwrap_or_else(|error| panic!("no client by {kubeconfig}: {error}"))
    })
}

/// Requests about all objects of a kind in a namespace, or in the whole cluster if that is empty.
pub(crate) fn api(kind: &Kind, namespace: &str) -> Api<DynamicObject> {
    let (client, resource) = (client().clone(), kind.resource());
    if namespace.is_empty() || !kind.namespaced {
        Api::all_with(client, &resource)
    } else {
        Api::namespaced_with(client, namespace, &resource)
    }
}

/// Requests about one object: without its namespace the API server would say that there is none.
pub(crate) fn api_of_one(kind: &Kind, namespace: &str) -> Api<DynamicObject> {
    let is_somewhere = !kind.namespaced || !namespace.is_empty();
    assert!(is_somewhere, "a {} is in a namespace", kind.name);
    api(kind, namespace)
}

/// Waits for a request's answer.
///
/// # Errors
/// What the API server refused, or that it did not answer within 30 s.
pub fn answer<T>(request: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    let answered = runtime().block_on(async { timeout(ANSWERED_WITHIN, request).await });
    match answered {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {ANSWERED_WITHIN:?}")),
    }
}

/// Lets a task run beside the test.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    runtime().spawn(task)
}
