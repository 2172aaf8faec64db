use serde_json::{Value, json};

use crate::api::PLACEMENTS_MAX;

pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "What the operator found and made.",
        "properties": {
            "observedGeneration": { "type": "integer", "format": "int64", "description": "The generation of the spec this is about." },
            "provision": phase("Where the claim and its like stand."),
            "caching": caching(),
            "source": { "type": "string", "description": "Address of the source." },
            "conditions": {
                "type": "array",
                "description": "What is true of it, since when, why, and what to do about it.",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": condition(),
            },
            "usage": usage(),
            "cache": cache(),
        },
    })
}

fn usage() -> Value {
    json!({
        "type": "object",
        "description": "How it is used. Figures are written at most every 10 minutes; what is live is in the operator's metrics.",
        "properties": {
            "consumers": integer("Pods that use it, neither finished nor on their way out."),
            "nodes": integer("Nodes on which one of them has it mounted."),
            "lastUsedTime": { "type": "string", "format": "date-time", "description": "When a pod last used it, or bytes last moved." },
            "bytesRead": integer("Bytes read through mounts since it was made."),
            "bytesReadFromCache": integer("Of those, bytes that came from a cache."),
            "bytesWritten": integer("Bytes written through mounts since it was made."),
        },
    })
}

fn cache() -> Value {
    json!({
        "type": "object",
        "description": "Its cache, when there is to be one.",
        "properties": {
            "plugin": { "type": "string", "description": "The plugin that plans it." },
            "decision": {
                "type": "object",
                "description": "What was decided, and why.",
                "properties": {
                    "action": { "type": "string", "enum": ["Deploy"] },
                    "reason": { "type": "string" },
                    "time": { "type": "string", "format": "date-time", "description": "When; absent where the spec itself decides." },
                    "numbers": {
                        "type": "object",
                        "maxProperties": 32,
                        "additionalProperties": { "type": "string", "maxLength": 64 },
                        "description": "The figures that it was made of, by name.",
                    },
                },
            },
            "capacity": { "type": "string", "description": "Kubernetes quantity: the total that was decided on." },
            "used": { "type": "string", "description": "Kubernetes quantity: what it holds of that; absent while nobody knows." },
            "hitRatio": { "type": "integer", "minimum": 0, "maximum": 100, "description": "Of the bytes that were asked of it, the part that it had, in percent; absent while nobody knows." },
            "placements": {
                "type": "array",
                "maxItems": PLACEMENTS_MAX,
                "items": { "type": "string", "maxLength": 253 },
                "description": "Names of nodes that hold some of its data.",
            },
            "endpoint": { "type": "string", "description": "Where reads go first; absent while it does not serve." },
            "warmup": {
                "type": "object",
                "description": "How far loading data before anyone asks is (spec.cache.warmup).",
                "properties": {
                    "state": { "type": "string", "enum": ["Loading", "Done", "Failed"], "description": "Failed is tried again after five minutes." },
                    "objects": integer("Objects that were read."),
                    "loaded": { "type": "string", "description": "Kubernetes quantity: bytes of these." },
                    "of": { "type": "string", "description": "A hash of the cache and the paths that this is about; with others it begins anew." },
                    "message": { "type": "string", "description": "Why it failed." },
                },
            },
        },
    })
}

fn integer(description: &str) -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0, "description": description })
}

fn phase(description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "properties": {
            "status": { "type": "string", "enum": ["Initializing", "Pending", "OK", "Disabled", "Failed"] },
            "info": { "type": "string" },
        },
    })
}

fn caching() -> Value {
    let nodes = |description: &str| {
        json!({
            "type": "array",
            "maxItems": PLACEMENTS_MAX,
            "description": description,
            "items": { "type": "object", "properties": {
                "key": { "type": "string", "maxLength": 317 },
                "value": { "type": "string", "maxLength": 253 },
            }},
        })
    };
    let mut schema = phase("Where the cache stands.");
    schema["properties"]["placements"] = json!({
        "type": "object",
        "description": "Nodes near the data, by label, as a controller of somebody else's says.",
        "properties": {
            "gateways": nodes("Nodes from which the cache is reached."),
            "datalocations": nodes("Nodes that hold data."),
        },
    });
    schema
}

/// What a condition can be of.
const TYPES: &str = "Ready: pods can use it. SourceReachable: the source answered when it was last asked. \
    Provisioned: everything it makes exists. CacheReady: reads go through a cache. InUse: pods use it. \
    SizePending: mount.size was changed after the claim was made. WritesRefused: the source does not take what \
    pods write. docs/conditions.md has the reasons of each.";

fn condition() -> Value {
    json!({
        "type": "object",
        "required": ["type", "status", "lastTransitionTime", "reason", "message"],
        "properties": {
            "type": { "type": "string", "maxLength": 316, "description": TYPES },
            "status": { "type": "string", "enum": ["True", "False", "Unknown"] },
            "observedGeneration": { "type": "integer", "format": "int64" },
            "lastTransitionTime": { "type": "string", "format": "date-time" },
            "reason": { "type": "string", "minLength": 1, "maxLength": 1024 },
            "message": { "type": "string", "maxLength": 32768 },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::ConditionType;

    #[test]
    fn each_type_of_a_condition_is_described() {
        for kind in ConditionType::ALL {
            let described = format!("{}: ", kind.as_str());
            assert!(TYPES.contains(&described), "{described}");
        }
    }
}
