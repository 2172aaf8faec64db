use std::collections::BTreeMap;

use dlf_core::source::SourceType;

use crate::config::{Match, Route, matches_glob};

/// What the first matching route names; none when no route has a say. A route that names none of this
/// kind has no say in it.
pub(crate) fn named<'a>(
    routes: &'a [Route],
    kind: SourceType,
    namespace: &str,
    labels: &BTreeMap<String, String>,
    of: impl Fn(&'a Route) -> Option<&'a str>,
) -> Option<&'a str> {
    let mut matching = routes
        .iter()
        .filter(|route| fits(&route.matches, kind, namespace, labels));
    matching.find_map(of)
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
