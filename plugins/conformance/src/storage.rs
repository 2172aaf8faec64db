use dlf_core::{
    plugin::{Intent, SecretEntry, StoragePlan, StoragePlugin, policy},
    source::{KeySource, Source, SourceType, keys},
};
use dlf_plugin_host::carrier::Remote;

use serde_json::Value;

use crate::{
    report::{Report, Wrong},
    requests,
};

const ALLOWED: &str =
    "it mounts what the dataset names, as the dataset says and by a program that nodes have";
const REFERENCES: &str = "keys are references";

/// What a storage plugin has to do.
pub(crate) async fn check(report: &mut Report, remote: &Remote, config: &Value) {
    let kinds = &remote.info().source_types;
    let (mut planned, mut allowed, mut literal) = (Ok(()), Ok(()), Ok(()));
    for request in requests::storage(kinds, Intent::Exist, config) {
        let plan = match StoragePlugin::plan(remote, &request).await {
            Ok(plan) => plan,
            Err(error) => {
                let of = request.source.address();
                planned = planned.and(Err(Wrong::from(error).at(&of)));
                continue;
            }
        };
        if let Err(error) = policy::check_storage(&plan, &request) {
            allowed = Err(Wrong::from(error.message));
        }
        literal = literal.and(keys_by_reference(&request.source, &plan));
    }
    report.enter(
        "it plans every type of source that it says it plans",
        planned,
        "plan it, or leave the type out of PluginInfo.sourceTypes",
    );
    report.enter(
        ALLOWED,
        allowed,
        "see what a storage plan may lead to in docs/plugin-protocol.md, section Plans",
    );
    if kinds.contains(&SourceType::Cos) {
        report.enter(
            REFERENCES,
            literal,
            "give accessKeyID and secretAccessKey as {\"key\": {\"secret\": …, \"key\": …}}",
        );
    } else {
        report.skip([REFERENCES], "it plans no buckets");
    }
    let mut leaving = Ok(());
    for request in requests::storage(kinds, Intent::Delete, config) {
        if let Err(error) = StoragePlugin::plan(remote, &request).await {
            leaving = Err(Wrong::from(error).at(&request.source.address()));
        }
    }
    report.enter(
        "it plans what is left to do when a dataset goes",
        leaving,
        "answer intent `delete` with the tasks that are left, or with none",
    );
}

fn keys_by_reference(source: &Source, plan: &StoragePlan) -> Result<(), String> {
    let Source::ObjectStore(bucket) = source else {
        return Ok(());
    };
    if bucket.keys == KeySource::Anonymous {
        return Ok(());
    }
    let literal = [
        keys::ACCESS_KEY_ID,
        keys::SECRET_ACCESS_KEY,
        keys::SESSION_TOKEN,
    ]
    .into_iter()
    .find(|key| matches!(plan.secret.get(*key), Some(SecretEntry::Literal(_))));
    literal.map_or(Ok(()), |key| Err(format!("{key} is a literal")))
}
