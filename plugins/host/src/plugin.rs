//! One plugin of the configuration, whatever carries it.

mod meeting;

use std::{collections::BTreeSet, sync::Arc};

use dlf_core::plugin::{
    CachingPlugin, Needs, PROTOCOL, PlanError, PluginInfo, PluginKind, StoragePlugin,
};
use serde::Serialize;
use serde_json::Value;

use self::meeting::Meeting;
pub(crate) use self::meeting::warn_if_unchecked;
use crate::{
    carrier::{Channel, Culprit},
    config::{Carrier, Grant},
};

/// A plugin that the operator was built with.
#[derive(Clone)]
pub enum BuiltIn {
    /// Plans how pods mount a source.
    Storage(Arc<dyn StoragePlugin>),
    /// Plans caches.
    Caching(Arc<dyn CachingPlugin>),
}

impl BuiltIn {
    /// Who it is.
    #[must_use]
    pub fn describe(&self) -> PluginInfo {
        match self {
            Self::Storage(plugin) => plugin.describe(),
            Self::Caching(plugin) => plugin.describe(),
        }
    }
}

/// A plugin by the name that routes and datasets use.
pub struct Plugin {
    name: String,
    carrier: Carrier,
    /// Where it is, for a person; none: in the operator.
    place: Option<String>,
    /// What the configuration grants it.
    grants: BTreeSet<Grant>,
    way: Way,
}

enum Way {
    BuiltIn(BuiltIn),
    Remote(Meeting),
    /// A controller of its own: nobody asks it.
    External,
}

impl Plugin {
    pub(crate) fn built_in(name: String, plugin: BuiltIn) -> Self {
        Self {
            name,
            carrier: Carrier::Builtin,
            place: None,
            // It is ours.
            grants: BTreeSet::from([Grant::SourceKeys]),
            way: Way::BuiltIn(plugin),
        }
    }

    pub(crate) fn remote(
        name: String,
        carrier: Carrier,
        place: String,
        channel: Arc<dyn Channel>,
        section: Value,
    ) -> Self {
        Self {
            way: Way::Remote(Meeting::new(name.clone(), channel, section)),
            name,
            carrier,
            place: Some(place),
            grants: BTreeSet::new(),
        }
    }

    /// The plugin with what the configuration grants it.
    #[must_use]
    pub(crate) fn with_grants(self, grants: BTreeSet<Grant>) -> Self {
        Self { grants, ..self }
    }

    pub(crate) fn external(name: String, service_account: String) -> Self {
        Self {
            name,
            carrier: Carrier::External,
            place: Some(service_account),
            grants: BTreeSet::new(),
            way: Way::External,
        }
    }

    /// The name that routes and datasets use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is part of this program, and answers at once.
    #[must_use]
    pub const fn is_built_in(&self) -> bool {
        matches!(self.way, Way::BuiltIn(_))
    }

    /// Whether it is a controller of its own, which writes effective sources.
    #[must_use]
    pub const fn is_external(&self) -> bool {
        matches!(self.way, Way::External)
    }

    /// What a plugin that is compiled in can do; of the others that is known once they were met.
    #[must_use]
    pub(crate) fn known_kind(&self) -> Option<PluginKind> {
        match &self.way {
            Way::BuiltIn(plugin) => Some(plugin.describe().kind),
            Way::Remote(meeting) => meeting.info().map(|info| info.kind),
            Way::External => Some(PluginKind::Caching),
        }
    }

    /// The plugin as a planner of mounts.
    ///
    /// # Errors
    /// What it did instead of saying who it is, that its section of the configuration does not fit, or that
    /// it plans something else.
    pub async fn storage(&self) -> Result<Arc<dyn StoragePlugin>, PlanError> {
        match &self.way {
            Way::BuiltIn(BuiltIn::Storage(plugin)) => Ok(Arc::clone(plugin)),
            Way::Remote(meeting) => {
                let met = meeting.meet().await?;
                Self::expect(met.info().kind, PluginKind::Storage)?;
                Ok(met)
            }
            Way::BuiltIn(BuiltIn::Caching(_)) | Way::External => {
                Err(Self::mismatch(PluginKind::Caching, PluginKind::Storage))
            }
        }
    }

    /// The plugin as a planner of caches.
    ///
    /// # Errors
    /// As of [`Self::storage`].
    pub async fn caching(&self) -> Result<Arc<dyn CachingPlugin>, PlanError> {
        match &self.way {
            Way::BuiltIn(BuiltIn::Caching(plugin)) => Ok(Arc::clone(plugin)),
            Way::Remote(meeting) => {
                let met = meeting.meet().await?;
                Self::expect(met.info().kind, PluginKind::Caching)?;
                Ok(met)
            }
            Way::BuiltIn(BuiltIn::Storage(_)) | Way::External => {
                Err(Self::mismatch(PluginKind::Storage, PluginKind::Caching))
            }
        }
    }

    fn expect(found: PluginKind, expected: PluginKind) -> Result<(), PlanError> {
        if found == expected {
            return Ok(());
        }
        Err(Self::mismatch(found, expected))
    }

    fn mismatch(found: PluginKind, expected: PluginKind) -> PlanError {
        PlanError::new(
            "PluginMismatch",
            format!(
                "it is a {} plugin, and a {} plugin is needed; name another, or have the configuration's route changed",
                found.as_str(),
                expected.as_str()
            ),
        )
    }

    /// Whether the configuration grants it what it needs.
    ///
    /// # Errors
    /// What is not granted, and who can grant it.
    pub fn granted(&self, needs: Needs) -> Result<(), PlanError> {
        let lacks = Grant::needed(needs).find(|grant| !self.grants.contains(grant));
        let Some(grant) = lacks else {
            return Ok(());
        };
        let (name, what, word) = (&self.name, grant.what(), grant.as_str());
        Err(PlanError::new(
            "NotGranted",
            format!(
                "it needs {what}, which the configuration does not grant it; an administrator can: \
                 grants = [{word:?}] in [plugins.{name}], which is the value plugins.{name}.grants of the chart"
            ),
        ))
    }

    /// What it last said of itself; none while it was not met.
    #[must_use]
    pub fn info(&self) -> Option<PluginInfo> {
        match &self.way {
            Way::BuiltIn(plugin) => Some(plugin.describe()),
            Way::Remote(meeting) => meeting.info(),
            Way::External => None,
        }
    }

    /// What is known of it, without asking it.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let (info, error) = match &self.way {
            Way::BuiltIn(plugin) => (Some(plugin.describe()), None),
            Way::Remote(meeting) => (meeting.info(), meeting.error()),
            Way::External => (None, None),
        };
        let state = match (&self.way, &info, &error) {
            (Way::Remote(_), _, Some(_)) => State::Failing,
            (Way::Remote(_), None, None) => State::Unknown,
            _ => State::Ready,
        };
        Seen {
            name: self.name.clone(),
            carrier: self.carrier.as_str(),
            kind: self.known_kind().map(PluginKind::as_str),
            version: info.as_ref().map(|info| info.version.clone()),
            needs: info
                .as_ref()
                .map_or_else(Vec::new, |info| Grant::needed(info.needs).collect()),
            grants: self.grants.clone(),
            protocol: info.map(|info| Protocol {
                min: info.protocol.min,
                max: info.protocol.max,
                agreed: PROTOCOL,
            }),
            state,
            error,
            failed_over: match &self.way {
                Way::Remote(meeting) => meeting.culprits(),
                Way::BuiltIn(_) | Way::External => Vec::new(),
            },
            r#where: self.place.clone(),
        }
    }

    /// Asks a plugin who it is that was not met yet, or whose connection has ended: what is wrong with it is
    /// known before a dataset needs it, and so is another version.
    pub async fn look(&self) {
        if let Way::Remote(meeting) = &self.way {
            let _ = meeting.meet().await;
        }
    }
}

/// A plugin for a person to look at.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    name: String,
    carrier: &'static str,
    kind: Option<&'static str>,
    version: Option<String>,
    needs: Vec<Grant>,
    grants: BTreeSet<Grant>,
    protocol: Option<Protocol>,
    state: State,
    error: Option<String>,
    /// Datasets that it failed over, while it may well plan for others.
    failed_over: Vec<Culprit>,
    r#where: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Protocol {
    min: u32,
    max: u32,
    /// What both sides speak.
    agreed: u32,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum State {
    Ready,
    Failing,
    Unknown,
}
