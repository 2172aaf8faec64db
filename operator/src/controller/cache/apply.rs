use std::collections::BTreeSet;

use dlf_core::{
    names::{
        LABEL_DATASET_NAME, LABEL_DATASET_NAMESPACE, LABEL_DATASET_UID, LABEL_PLUGIN, field_manager,
    },
    plugin::CachePlace,
};
use kube::{
    ResourceExt,
    api::{
        Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions,
        PropagationPolicy,
    },
};
use serde_json::{Value, json};

use super::{CacheKey, CacheKind, CacheObject, network_policy::network_policy, refused::Refused};
use crate::controller::{
    Context,
    error::{Doing, Problem, ReconcileError},
    names::Identity,
    owned::{FIELD_MANAGER, HASH_ANNOTATION, fingerprint},
};

/// Writes what a plugin planned, the keys that it was granted, and who may reach it; gives what stands in the way, and the keys of
/// all that was planned.
pub(super) async fn run(
    planned: &[Value],
    keys: Option<&Value>,
    plugin: &str,
    place: &CachePlace,
    identity: &Identity,
    ctx: &Context,
) -> Result<(Option<Problem>, BTreeSet<CacheKey>), ReconcileError> {
    // A leader knows them before its controllers begin.
    let rules = ctx.shared.nodes.read(|nodes| nodes.network().cloned());
    let policy = network_policy(
        place,
        identity,
        &ctx.shared.namespace,
        &rules.unwrap_or_default(),
    );
    let planned = planned.iter().map(|object| (object, Some(plugin)));
    let known = ctx.shared.cache_objects.of(&identity.uid);
    let mut written = BTreeSet::new();
    let mut obstacle = None;
    let ours = [Some(&policy), keys].into_iter().flatten();
    let ours = ours.map(|object| (object, None));
    for (object, planner) in ours.chain(planned) {
        let Some(key) = key_of(object) else { continue };
        let desired = stamped(object, plugin, identity, &ctx.shared.pull_secrets);
        if let Some(problem) = ensure(&key, known.get(&key), desired, planner, ctx).await? {
            obstacle.get_or_insert(problem);
        }
        written.insert(key);
    }
    Ok((obstacle, written))
}

fn key_of(object: &Value) -> Option<CacheKey> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let kind = CacheKind::of(text("/apiVersion")?, text("/kind")?)?;
    Some((kind, text("/metadata/name")?.to_owned()))
}

/// The object with its owner's labels, what its images are pulled with and a hash of itself. What a `StatefulSet` claimed goes with it: a
/// cache has nothing that the source has not.
fn stamped(object: &Value, plugin: &str, identity: &Identity, pull_secrets: &[String]) -> Value {
    let mut stamped = object.clone();
    let owner = identity.labels();
    for (label, value) in &owner {
        stamped["metadata"]["labels"][*label] = json!(value);
    }
    stamped["metadata"]["labels"][LABEL_PLUGIN] = json!(plugin);
    if stamped["kind"] == "StatefulSet" {
        stamped["spec"]["persistentVolumeClaimRetentionPolicy"] =
            json!({ "whenDeleted": "Delete", "whenScaled": "Delete" });
    }
    if let Some(template) = stamped.pointer_mut("/spec/template") {
        // By these a person finds its pods and what they log.
        for label in [LABEL_DATASET_NAMESPACE, LABEL_DATASET_NAME] {
            template["metadata"]["labels"][label] = json!(owner[label]);
        }
        add_pull_secrets(&mut template["spec"], pull_secrets);
    }
    let hash = fingerprint(&stamped);
    stamped["metadata"]["annotations"][HASH_ANNOTATION] = json!(hash);
    stamped
}

/// A plugin cannot know them. Those that it planned itself come first.
fn add_pull_secrets(pod: &mut Value, names: &[String]) {
    let planned = pod["imagePullSecrets"].as_array().cloned();
    let mut all = planned.unwrap_or_default();
    for name in names {
        let reference = json!({ "name": name });
        if !all.contains(&reference) {
            all.push(reference);
        }
    }
    if !all.is_empty() {
        pod["imagePullSecrets"] = json!(all);
    }
}

async fn ensure(
    key: &CacheKey,
    known: Option<&CacheObject>,
    desired: Value,
    planner: Option<&str>,
    ctx: &Context,
) -> Result<Option<Problem>, ReconcileError> {
    let (kind, name) = key;
    let resource = kind.resource();
    if let Some(known) = known {
        if known.object.metadata.deletion_timestamp.is_some() {
            let message = format!(
                "{} {name} of the cache is being deleted; it is made again when it has gone",
                resource.kind
            );
            return Ok(Some(Problem::pending("Terminating", message)));
        }
        if is_as_applied(*kind, known, &desired) {
            return Ok(None);
        }
    }
    let namespace = &ctx.shared.caches_namespace;
    let api: Api<DynamicObject> =
        Api::namespaced_with(ctx.shared.client.clone(), namespace, &resource);
    let manager = planner.map_or_else(|| FIELD_MANAGER.to_owned(), field_manager);
    let params = PatchParams::apply(&manager).force();
    match api.patch(name, &params, &Patch::Apply(&desired)).await {
        Ok(written) => {
            ctx.shared.cache_objects.wrote(*kind, written);
            Ok(None)
        }
        Err(error) => {
            let refused = Refused {
                kind: &resource.kind,
                namespace,
                name,
                plugin: planner,
            };
            let problem = refused.problem(error);
            problem
                .doing("writing what a caching plugin planned")
                .map(Some)
        }
    }
}

fn is_as_applied(kind: CacheKind, known: &CacheObject, desired: &Value) -> bool {
    let hash = desired["metadata"]["annotations"][HASH_ANNOTATION].as_str();
    let applied = known.object.annotations().get(HASH_ANNOTATION);
    let edited = known
        .written
        .as_ref()
        .is_some_and(|written| Some(written) != kind.edition(&known.object).as_ref());
    applied.map(String::as_str) == hash && !edited
}

/// Has the index know what there is of a dataset's caches.
pub(super) async fn look_up(uid: &str, ctx: &Context) -> Result<(), ReconcileError> {
    let labels = format!("{LABEL_DATASET_UID}={uid},{LABEL_PLUGIN}");
    let of_dataset = ListParams::default().labels(&labels);
    for kind in CacheKind::ALL {
        let api: Api<DynamicObject> = Api::namespaced_with(
            ctx.shared.client.clone(),
            &ctx.shared.caches_namespace,
            &kind.resource(),
        );
        let found = match api.list(&of_dataset).await {
            // Without the namespace, or without rights there, no cache was ever made.
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => continue,
            found => found.doing("looking for what a caching plugin had planned")?,
        };
        for object in found {
            let _ = ctx.shared.cache_objects.apply(kind, object);
        }
    }
    Ok(())
}

/// Deletes an object of a cache; true once it is gone.
pub(super) async fn remove(
    key: &CacheKey,
    known: &CacheObject,
    ctx: &Context,
) -> Result<bool, ReconcileError> {
    if known.object.metadata.deletion_timestamp.is_some() {
        return Ok(false);
    }
    let (kind, name) = key;
    let api: Api<DynamicObject> = Api::namespaced_with(
        ctx.shared.client.clone(),
        &ctx.shared.caches_namespace,
        &kind.resource(),
    );
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    }
    .preconditions(Preconditions {
        uid: known.object.uid(),
        resource_version: None,
    });
    match api.delete(name, &params).await {
        Ok(outcome) => {
            let gone = outcome.is_right();
            if gone {
                ctx.shared.cache_objects.delete(*kind, &known.object);
            }
            Ok(gone)
        }
        // A conflict is with another object, which has the name by now.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
            ctx.shared.cache_objects.delete(*kind, &known.object);
            Ok(true)
        }
        Err(error) => Err(error).doing("deleting what a caching plugin had planned"),
    }
}

#[cfg(test)]
mod tests {
    use dlf_core::api::ApiGroup;

    use super::*;

    #[test]
    fn pods_of_a_cache_are_found_by_its_dataset() {
        let identity = Identity {
            group: ApiGroup::Hpsys,
            namespace: "ml".into(),
            name: "books".into(),
            uid: "u".into(),
        };
        let planned = json!({ "kind": "Deployment", "spec": { "template": { "spec": {} } } });
        let stamped = stamped(&planned, "acme", &identity, &[]);
        let labels = &stamped["spec"]["template"]["metadata"]["labels"];
        assert_eq!(labels[LABEL_DATASET_NAME], "books");
        assert_eq!(labels[LABEL_DATASET_NAMESPACE], "ml");
        assert_eq!(stamped["metadata"]["labels"][LABEL_DATASET_UID], "u");
        let service = super::stamped(&json!({ "kind": "Service" }), "acme", &identity, &[]);
        assert!(service["spec"].is_null(), "{service}");
    }

    #[test]
    fn images_of_caches_are_pulled_with_what_the_installation_has() {
        let with = |pod: Value, names: &[&str]| {
            let mut pod = pod;
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            add_pull_secrets(&mut pod, &names);
            pod["imagePullSecrets"].take()
        };
        let named = |names: &[&str]| {
            let references = names.iter().map(|name| json!({ "name": name }));
            Value::Array(references.collect())
        };
        assert_eq!(with(json!({}), &["ours"]), named(&["ours"]));
        let own = || json!({ "imagePullSecrets": [{ "name": "own" }] });
        assert_eq!(with(own(), &["ours", "own"]), named(&["own", "ours"]));
        assert_eq!(with(own(), &[]), named(&["own"]));
        assert_eq!(
            with(json!({}), &[]),
            Value::Null,
            "nothing changes without any"
        );
    }
}
