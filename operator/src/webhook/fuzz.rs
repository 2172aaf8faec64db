//! Requests that no API server sends, and pods and Datasets that nobody meant, through the whole
//! webhook but its TLS.

mod objects;

use std::sync::LazyLock;

use axum::body::to_bytes;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use dlf_core::api::ApiGroup;
use dlf_plugin_host::BuiltIn;
use dlf_plugin_hostpath::HostPath;
use dlf_plugin_nfs::Nfs;
use dlf_plugin_s3fs::S3fs;
use http::{Method, header::CONTENT_LENGTH};
use kube::Client;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use self::objects::{dataset, json, lacking, pod, spoiled};
use super::{
    datasets::{Facts, Index},
    review::REFUSAL_BYTES_MAX,
    *,
};
use crate::{certificates::Leaf, metrics::Catalog, plugins::PluginConnectors};

const PATHS: [&str; 2] = [MUTATE_PODS, VALIDATE_DATASETS];

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// The webhook with some Datasets in its memory. What is not there it would ask the API server, of
/// which there is none.
struct Server {
    runtime: Runtime,
    router: Router,
}

impl Server {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let entered = runtime.enter();
        let nowhere = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let metrics = Metrics::new(&mut Catalog::default());
        let client = Client::try_from(nowhere).unwrap();
        let lookup = Lookup::new(
            client,
            ApiGroup::ALL.to_vec(),
            Arc::new(library()),
            metrics.clone(),
        );
        let plugins = [
            BuiltIn::Storage(Arc::new(S3fs)),
            BuiltIn::Storage(Arc::new(Nfs)),
            BuiltIn::Storage(Arc::new(HostPath)),
        ];
        let connectors = PluginConnectors::new(Leaf::default());
        let calls = dlf_plugin_host::metrics::Metrics::default();
        let registry = Registry::new(plugins, Arc::default(), &connectors, &calls).unwrap();
        let (_, plugins) = watch::channel(Arc::new(registry));
        let router = Webhook::new(lookup, plugins, metrics).router();
        drop(entered);
        Self { runtime, router }
    }

    fn ask(&self, path: &str, body: &[u8]) -> (StatusCode, Vec<u8>) {
        let request = http::Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(CONTENT_LENGTH, body.len())
            .body(Body::from(body.to_vec()))
            .unwrap();
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let status = response.status();
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            (status, body.to_vec())
        })
    }
}

fn library() -> Index {
    let index = Index::default();
    for name in objects::NAMES {
        let facts = Facts {
            readonly: name == "photos",
            mount_path: (name == "placed").then(|| "/data/in/".to_owned()),
            deleting: name == "going",
            ..Facts::default()
        };
        index.apply(ApiGroup::Hpsys, "ns", name, facts);
    }
    index
}

/// An answer as the API server demands it: what it admits, and the patch.
struct Answer {
    allowed: bool,
    message: String,
    patch: json_patch::Patch,
}

/// Asks and checks whatever holds of any answer.
fn ask(path: &str, body: &[u8]) -> Result<Answer, TestCaseError> {
    let (status, answer) = SERVER.ask(path, body);
    prop_assert_eq!(status, StatusCode::OK);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    prop_assert_eq!(&answer["apiVersion"], "admission.k8s.io/v1");
    prop_assert_eq!(&answer["kind"], "AdmissionReview");
    let response = &answer["response"];
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(uid) = asked["request"]["uid"].as_str() {
        prop_assert_eq!(response["uid"].as_str(), Some(uid));
    }
    prop_assert!(response["uid"].is_string());
    let allowed = response["allowed"].as_bool();
    prop_assert!(allowed.is_some(), "{response}");
    let message = response["status"]["message"].as_str().unwrap_or_default();
    let refused = allowed == Some(false);
    prop_assert_eq!(refused, !message.is_empty(), "{}", response);
    prop_assert!(message.len() <= REFUSAL_BYTES_MAX);
    let encoded = response["patch"].as_str();
    prop_assert_eq!(response["patchType"].as_str(), encoded.map(|_| "JSONPatch"));
    prop_assert!(encoded.is_none() || !refused);
    let decoded =
        encoded.map(|text| serde_json::from_slice(&BASE64.decode(text).unwrap()).unwrap());
    Ok(Answer {
        allowed: !refused,
        message: message.to_owned(),
        patch: decoded.unwrap_or_default(),
    })
}

fn review(operation: &str, object: &Value, old: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "8a8f8d6c", "operation": operation, "namespace": "ns",
            "userInfo": { "username": "somebody" }, "object": object, "oldObject": old,
        },
    })
}

fn operations() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["CREATE", "UPDATE", "DELETE", "CONNECT"])
}

fn paths() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(PATHS.to_vec())
}

/// The pod after the API server has applied the patch.
fn patched(pod: &Value, patch: &json_patch::Patch) -> Result<Value, TestCaseError> {
    let mut after = pod.clone();
    let applied = json_patch::patch(&mut after, patch);
    prop_assert!(applied.is_ok(), "{applied:?}: {pod}");
    Ok(after)
}

proptest! {
    #[test]
    fn any_bytes_are_answered(path in paths(), body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let answer = ask(path, &body)?;
        prop_assert!(!answer.allowed && answer.message.contains("cannot be read"), "{}", answer.message);
    }

    #[test]
    fn any_json_is_answered(path in paths(), body in json()) {
        ask(path, body.to_string().as_bytes())?;
        ask(path, json!({ "request": body }).to_string().as_bytes())?;
    }

    #[test]
    fn a_review_with_parts_missing_or_of_the_wrong_type_is_answered(
        path in paths(),
        review in (operations(), pod(), pod())
            .prop_map(|(operation, new, old)| review(operation, &new, &old))
            .prop_flat_map(spoiled),
    ) {
        ask(path, review.to_string().as_bytes())?;
    }

    #[test]
    fn what_is_nested_without_end_costs_nothing(path in paths(), depth in 0..200_000_usize, open in "\\[|\\{\"a\":") {
        let body = format!(r#"{{"request":{{"uid":"u","operation":"CREATE","object":{{"spec":{}"#, open.repeat(depth));
        let answer = ask(path, body.as_bytes())?;
        prop_assert!(!answer.allowed);
        let closed = "[".repeat(depth) + &"]".repeat(depth);
        let body = format!(r#"{{"request":{{"uid":"u","operation":"CREATE","object":{{"x":{closed}}}}}}}"#);
        let (status, answer) = SERVER.ask(path, body.as_bytes());
        prop_assert_eq!(status, StatusCode::OK);
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        prop_assert_eq!(&answer["response"]["uid"], "u");
    }

    #[test]
    fn a_pod_that_was_decorated_is_not_changed_again(pod in pod()) {
        let once = ask(MUTATE_PODS, review("CREATE", &pod, &Value::Null).to_string().as_bytes())?;
        let after = patched(&pod, &once.patch)?;
        let twice = ask(MUTATE_PODS, review("CREATE", &after, &Value::Null).to_string().as_bytes())?;
        prop_assert_eq!(once.allowed, twice.allowed, "{}", twice.message);
        prop_assert_eq!(&patched(&after, &twice.patch)?, &after);
    }

    #[test]
    fn a_patch_can_be_applied_to_a_pod_that_lacks_parts(pod in pod().prop_flat_map(lacking)) {
        let answer = ask(MUTATE_PODS, review("CREATE", &pod, &Value::Null).to_string().as_bytes())?;
        patched(&pod, &answer.patch)?;
    }

    #[test]
    fn a_dataset_is_taken_or_refused_naming_the_key(dataset in dataset().prop_flat_map(spoiled), operation in operations()) {
        let answer = ask(VALIDATE_DATASETS, review(operation, &dataset, &Value::Null).to_string().as_bytes())?;
        if !answer.allowed {
            let named = ["spec", "metadata", "cannot be read"];
            prop_assert!(named.iter().any(|word| answer.message.contains(word)), "{}", answer.message);
        }
    }
}
