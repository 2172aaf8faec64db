use serde_json::{Value, json};

pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "What the operator found and made.",
        "properties": {
            "observedGeneration": { "type": "integer", "format": "int64", "description": "The generation of the spec this is about." },
            "provision": phase("Where the claim and its like stand."),
            "caching": phase("Where the cache stands."),
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
                },
            },
            "capacity": { "type": "string", "description": "Kubernetes quantity: the total that was decided on." },
            "endpoint": { "type": "string", "description": "Where reads go first; absent while it does not serve." },
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

fn condition() -> Value {
    json!({
        "type": "object",
        "required": ["type", "status", "lastTransitionTime", "reason", "message"],
        "properties": {
            "type": { "type": "string", "maxLength": 316 },
            "status": { "type": "string", "enum": ["True", "False", "Unknown"] },
            "observedGeneration": { "type": "integer", "format": "int64" },
            "lastTransitionTime": { "type": "string", "format": "date-time" },
            "reason": { "type": "string", "minLength": 1, "maxLength": 1024 },
            "message": { "type": "string", "maxLength": 32768 },
        },
    })
}
