//! Services of a cache: inside the cluster, and to this cache's pods.

use serde_json::Value;

use super::{Planned, containers, list, refused};
use crate::plugin::{CachePlace, PlanError};

/// Checks a Service by itself.
pub(super) fn check(object: &Value, shown: &str, place: &CachePlace) -> Result<(), PlanError> {
    let spec = &object["spec"];
    let kind = spec["type"].as_str().unwrap_or("ClusterIP");
    if kind != "ClusterIP" {
        return Err(refused(format!(
            "{shown} is of type {kind}; caches are reached from inside the cluster only: ClusterIP"
        )));
    }
    for key in ["externalIPs", "externalName"] {
        if spec.get(key).is_some() {
            return Err(refused(format!(
                "{shown} leads out of the cluster by {key}; leave it out"
            )));
        }
    }
    for (key, value) in &place.labels {
        if spec["selector"][key] != value.as_str() {
            return Err(refused(format!(
                "{shown} does not select {key}: {value}, and so leads to pods that are not this cache's"
            )));
        }
    }
    Ok(())
}

/// Checks that Services select pods of the plan, and lead to ports that these have. A plan without pods is
/// left alone: nothing of it serves, and reads go to the source.
pub(super) fn lead_to_pods(planned: &[Planned<'_>]) -> Result<(), PlanError> {
    let workloads: Vec<_> = planned.iter().filter(|one| one.is_workload()).collect();
    let services = planned.iter().filter(|one| one.kind == "Service");
    for service in services.filter(|_| !workloads.is_empty()) {
        let (spec, shown) = (&service.object["spec"], &service.shown);
        let templates = workloads.iter().map(|one| one.template());
        let selected: Vec<_> = templates
            .filter(|template| selects(&spec["selector"], &template["metadata"]["labels"]))
            .collect();
        if selected.is_empty() {
            return Err(refused(format!(
                "{shown} selects {}, and no pods of the plan carry these labels; select labels of a template's metadata",
                spec["selector"]
            )));
        }
        let declared: Vec<&Value> = selected
            .iter()
            .flat_map(|template| containers(&template["spec"]))
            .flat_map(|container| list(&container["ports"]))
            .collect();
        for port in list(&spec["ports"]) {
            target(port, &declared, shown)?;
        }
    }
    Ok(())
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let mut selected = selector.as_object().into_iter().flatten();
    selected.all(|(key, value)| labels[key] == *value)
}

/// Checks that a Service's port leads to one that containers declare. A number leads there undeclared, so
/// that it is judged only where they declare any; a name is found among what is declared or nowhere.
fn target(port: &Value, declared: &[&Value], shown: &str) -> Result<(), PlanError> {
    let number = &port["port"];
    let target = match &port["targetPort"] {
        Value::Null => number,
        given => given,
    };
    let (key, is_judged) = if target.is_string() {
        ("name", true)
    } else {
        ("containerPort", !declared.is_empty())
    };
    if !is_judged || declared.iter().any(|one| one[key] == *target) {
        return Ok(());
    }
    let declared = declared.iter().map(|one| match one["name"].as_str() {
        Some(name) => format!("{} ({name})", one["containerPort"]),
        None => one["containerPort"].to_string(),
    });
    let declared = declared.collect::<Vec<_>>().join(", ");
    Err(refused(format!(
        "port {number} of {shown} leads to targetPort {target}, and containers of its pods declare {}; lead to one that \
         they declare, or declare it in their ports",
        if declared.is_empty() {
            "none"
        } else {
            &declared
        }
    )))
}
