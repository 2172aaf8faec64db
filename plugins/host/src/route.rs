use std::collections::BTreeMap;

use dlf_core::source::SourceType;

use crate::config::{Match, Route, matches_glob};

/// The storage plugin that the first matching route names; none when no route has a say.
pub(crate) fn storage<'a>(
    routes: &'a [Route],
    kind: SourceType,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Option<&'a str> {
    routes
        .iter()
        .find(|route| fits(&route.matches, kind, namespace, labels))
        .and_then(|route| route.storage.as_deref())
}

fn fits(
    wanted: &Match,
    kind: SourceType,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> bool {
    wanted.kind.is_none_or(|wanted| wanted == kind)
        && wanted
            .namespace
            .as_deref()
            .is_none_or(|pattern| matches_glob(pattern, namespace))
        && wanted
            .labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
}
