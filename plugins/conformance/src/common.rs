use dlf_core::{
    plugin::{Call, Intent, Message, PROTOCOL, PluginInfo, PluginKind, Reply},
    source::SourceType,
};
use dlf_plugin_host::{
    carrier::{Channel, Fault},
    schema::{self, Misfit},
};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    report::{Report, Wrong},
    requests,
};

/// Calls at once, as a host makes them.
const AT_ONCE: usize = 16;

/// An answer as JSON, or what came instead.
type Answer = Result<Value, Wrong>;

/// What every plugin has to say of itself.
pub(crate) async fn describes(report: &mut Report, channel: &dyn Channel, info: &PluginInfo) {
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
        "the schema of its configuration can be enforced",
        info.config_schema.as_ref().map_or(Ok(()), schema::usable),
        "give a JSON Schema that refers to itself alone, or leave configSchema out",
    );
    let described = ask(channel, &message(Call::Describe)).await;
    let same = json!({ "ok": info });
    report.enter(
        "it says the same of itself each time",
        expect(&described, |reply| *reply == same),
        "describe from constants: nothing that changes while it runs",
    );
}

/// Whether the plugin's section of the configuration is one that a host asks for plans with.
pub(crate) fn is_configured(report: &mut Report, info: &PluginInfo, config: &Value) -> bool {
    let found = match schema::check(info, config) {
        Ok(()) => Ok(()),
        Err(Misfit::Section(found)) => Err(found),
        // That it cannot be enforced is entered already.
        Err(Misfit::Schema(_)) => return false,
    };
    let fits = found.is_ok();
    report.enter(
        "its configuration fits its schema",
        found,
        "give the section that it describes: by --config of `plugin check`, or after the type in conformance!",
    );
    fits
}

/// How every plugin has to answer, whatever it plans.
pub(crate) async fn answers(
    report: &mut Report,
    channel: &dyn Channel,
    info: &PluginInfo,
    config: &Value,
) {
    let asked = message(a_call(info, config));
    let first = ask(channel, &asked).await;
    let many = join_all((0..AT_ONCE).map(|_| ask(channel, &asked))).await;
    report.enter(
        "it gives the same plan to the same request, also many at once",
        all_alike(&first, &many),
        "plan from the request alone: no clock, no random number, no order of a hash map",
    );
    let mut newer = asked.clone();
    newer["fromALaterVersion"] = json!({ "a": [1] });
    newer["request"]["fromALaterVersion"] = json!(true);
    report.enter(
        "it ignores fields that it does not know",
        expect(&ask(channel, &newer).await, |reply| {
            first.as_ref() == Ok(reply)
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
            .and_then(|()| expect(&after, |reply| *reply == json!({ "ok": info }))),
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
fn a_call(info: &PluginInfo, config: &Value) -> Call {
    match info.kind {
        PluginKind::Storage => {
            let kind = info
                .source_types
                .first()
                .copied()
                .unwrap_or(SourceType::Cos);
            let mut requests = requests::storage(&[kind], Intent::Exist, config);
            Call::PlanStorage(Box::new(requests.remove(0)))
        }
        PluginKind::Caching => Call::PlanCaching(Box::new(
            requests::caching(Intent::Exist, info.needs, config).remove(0),
        )),
    }
}

fn message(call: Call) -> Value {
    let message = Message {
        protocol: PROTOCOL,
        call,
    };
    serde_json::to_value(message).unwrap_or_default()
}

async fn ask(channel: &dyn Channel, message: &Value) -> Answer {
    let garbage = |error: serde_json::Error| Wrong::from(Fault::Garbage(error.to_string()));
    let message = serde_json::to_vec(message).map_err(garbage)?;
    let reply = channel.call(message.into()).await?;
    let reply: Value = serde_json::from_slice(&reply).map_err(garbage)?;
    match serde_json::from_value::<Reply>(reply.clone()) {
        Ok(_) => Ok(reply),
        Err(error) => {
            let found = format!("neither {{\"ok\": …}} nor {{\"error\": …}}: {error}");
            Err(Fault::Garbage(found).into())
        }
    }
}

/// What came instead of an answer, if it was none.
fn no_answer(reply: &Answer) -> Option<Wrong> {
    match reply {
        Ok(reply) => Wrong::of_reply(reply),
        Err(wrong) => Some(wrong.clone()),
    }
}

fn all_alike(first: &Answer, others: &[Answer]) -> Result<(), Wrong> {
    if let Some(wrong) = no_answer(first) {
        return Err(wrong);
    }
    let Some(other) = others.iter().find(|reply| *reply != first) else {
        return Ok(());
    };
    let differ = || format!("{} and {}", short(first), short(other)).into();
    Err(no_answer(other).unwrap_or_else(differ))
}

fn expect(reply: &Answer, fits: impl Fn(&Value) -> bool) -> Result<(), Wrong> {
    match reply {
        Ok(value) if fits(value) => Ok(()),
        _ => Err(no_answer(reply).unwrap_or_else(|| short(reply).into())),
    }
}

/// As much of an answer as a person reads.
fn short(reply: &Answer) -> String {
    let text = match reply {
        Ok(value) => value.to_string(),
        Err(wrong) => wrong.found().to_owned(),
    };
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
