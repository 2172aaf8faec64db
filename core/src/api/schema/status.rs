use serde_json::{Value, json};

pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "What the operator found and made.",
        "properties": {
            "observedGeneration": { "type": "integer", "format": "int64" },
            "provision": phase("Where the claim and its like stand."),
            "caching": phase("Where the cache stands."),
            "source": { "type": "string" },
            "conditions": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": condition(),
            },
            "usage": {
                "type": "object",
                "properties": {
                    "consumers": { "type": "integer", "format": "int64" },
                    "nodes": { "type": "integer", "format": "int64" },
                    "lastUsedTime": { "type": "string", "format": "date-time" },
                    "bytesRead": { "type": "integer", "format": "int64" },
                    "bytesWritten": { "type": "integer", "format": "int64" },
                },
            },
        },
    })
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
