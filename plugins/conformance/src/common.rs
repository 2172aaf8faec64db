use dlf_core::{
    plugin::{Call, Intent, Message, PROTOCOL, PluginInfo, PluginKind, Reply},
    source::SourceType,
};
use dlf_plugin_host::carrier::Channel;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{report::Report, requests};

/// Calls at once, as a host makes them.
const AT_ONCE: usize = 16;

/// What every plugin has to do, whatever it plans.
pub(crate) async fn check(report: &mut Report, channel: &dyn Channel, info: &PluginInfo) {
    report.enter(
        "its name is a DNS label",
        is_label(&info.name)
            .then_some(())
            .ok_or_else(|| format!("{:?}", info.name)),
        "take a name of at most 63 lower-case letters, digits and hyphens",
    );
    report.enter(
        "it has a version",
        (!info.version.is_empty())
            .then_some(())
            .ok_or_else(|| "an empty one".to_owned()),
        "set PluginInfo.version",
    );
    report.enter(
        "it plans for some type of source",
        (!info.source_types.is_empty())
            .then_some(())
            .ok_or_else(|| "none".to_owned()),
        "set PluginInfo.sourceTypes",
    );
    report.enter(
        "the schema of its configuration is an object",
        match &info.config_schema {
            None | Some(Value::Object(_)) => Ok(()),
            Some(other) => Err(other.to_string()),
        },
        "give a JSON Schema, or leave configSchema out",
    );
    let described = ask(channel, &message(Call::Describe)).await;
    let same = json!({ "ok": info });
    report.enter(
        "it says the same of itself each time",
        expect(&described, |reply| *reply == same),
        "describe from constants: nothing that changes while it runs",
    );
    let asked = message(a_call(info));
    let first = ask(channel, &asked).await;
    let many = join_all((0..AT_ONCE).map(|_| ask(channel, &asked))).await;
    report.enter(
        "it gives the same plan to the same request, also many at once",
        many.iter()
            .find(|reply| **reply != first)
            .map_or(Ok(()), |other| {
                Err(format!("{} and {}", short(&first), short(other)))
            }),
        "plan from the request alone: no clock, no random number, no order of a hash map",
    );
    let mut newer = asked.clone();
    newer["fromALaterVersion"] = json!({ "a": [1] });
    newer["request"]["fromALaterVersion"] = json!(true);
    report.enter(
        "it ignores fields that it does not know",
        expect(&ask(channel, &newer).await, |reply| {
            Ok(reply) == first.as_ref()
        }),
        "read what you know and ignore the rest (in serde: no deny_unknown_fields)",
    );
    let mut later = message(Call::Describe);
    later["protocol"] = json!(PROTOCOL + 98);
    report.enter(
        "it refuses a protocol version that it does not speak",
        expect(&ask(channel, &later).await, |reply| {
            reply.get("error").is_some()
        }),
        "compare `protocol` with the versions you speak, and answer {\"error\": …} to others",
    );
    let unknown = json!({ "protocol": PROTOCOL, "call": "dance", "request": {} });
    let refused = ask(channel, &unknown).await;
    let after = ask(channel, &message(Call::Describe)).await;
    report.enter(
        "it refuses a call that it does not know, and goes on",
        expect(&refused, |reply| reply.get("error").is_some())
            .and_then(|()| expect(&after, |reply| *reply == same)),
        "answer {\"error\": {\"reason\": …, \"message\": …}} and take the next message",
    );
}

fn is_label(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(fits)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// One request of its kind, for a source that it says it plans.
fn a_call(info: &PluginInfo) -> Call {
    match info.kind {
        PluginKind::Storage => {
            let kind = info
                .source_types
                .first()
                .copied()
                .unwrap_or(SourceType::Cos);
            let mut requests = requests::storage(&[kind], Intent::Exist);
            Call::PlanStorage(Box::new(requests.remove(0)))
        }
        PluginKind::Caching => {
            Call::PlanCaching(Box::new(requests::caching(Intent::Exist).remove(0)))
        }
    }
}

pub(crate) fn message(call: Call) -> Value {
    let message = Message {
        protocol: PROTOCOL,
        call,
    };
    serde_json::to_value(message).unwrap_or_default()
}

/// What comes back, as JSON, or what came instead.
pub(crate) async fn ask(channel: &dyn Channel, message: &Value) -> Result<Value, String> {
    let message = serde_json::to_vec(message).map_err(|error| error.to_string())?;
    let reply = channel
        .call(message)
        .await
        .map_err(|fault| fault.to_string())?;
    let reply: Value = serde_json::from_slice(&reply).map_err(|error| error.to_string())?;
    serde_json::from_value::<Reply>(reply.clone())
        .map(|_| reply)
        .map_err(|error| format!("neither {{\"ok\": …}} nor {{\"error\": …}}: {error}"))
}

fn expect(reply: &Result<Value, String>, fits: impl Fn(&Value) -> bool) -> Result<(), String> {
    match reply {
        Ok(value) if fits(value) => Ok(()),
        Ok(_) | Err(_) => Err(short(reply)),
    }
}

/// As much of an answer as a person reads.
pub(crate) fn short(reply: &Result<Value, String>) -> String {
    let text = match reply {
        Ok(value) => value.to_string(),
        Err(error) => error.clone(),
    };
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
