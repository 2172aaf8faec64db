//! Requests that are about no object that is kept.

use dlf_tests::{answer, client};
use kube::{
    Api,
    api::{DynamicObject, GetParams, PostParams},
    core::{ApiResource, GroupVersionKind, Request},
};
use serde_json::Value;

/// What the API server says at a path, as `/metrics`.
///
/// # Errors
/// Why it does not.
pub(crate) fn raw(path: &str) -> Result<String, String> {
    let (parent, name) = path.rsplit_once('/').unwrap();
    let request = Request::new(parent).get(name, &GetParams::default());
    answer(client().request_text(request.unwrap()))
}

/// Sends a pod through admission: nothing of it is kept.
///
/// # Errors
/// Why it was refused.
pub(crate) fn create_dry(namespace: &str, pod: &Value) -> Result<(), String> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Pod"));
    let pods: Api<DynamicObject> = Api::namespaced_with(client().clone(), namespace, &kind);
    let pod: DynamicObject = serde_json::from_value(pod.clone()).unwrap();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    answer(pods.create(&dry, &pod)).map(|_| ())
}
