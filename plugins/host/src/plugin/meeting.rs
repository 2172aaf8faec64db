//! A plugin behind a channel: asked who it is when it is first needed, and again when somebody else may
//! answer there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dlf_core::plugin::{PlanError, PluginInfo};
use serde_json::Value;

use crate::{
    carrier::{Channel, Culprit, Remote},
    schema::{self, Misfit},
};

/// A plugin behind a channel, and its section of the configuration.
pub(super) struct Meeting {
    /// As the configuration calls it.
    name: String,
    channel: Arc<dyn Channel>,
    section: Value,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    met: Option<Met>,
    error: Option<String>,
}

struct Met {
    /// Of the channel: who answered then.
    generation: u64,
    remote: Arc<Remote>,
    /// Why it is asked for no plan.
    misfit: Option<Misfit>,
}

impl Met {
    fn planner(&self) -> Result<Arc<Remote>, PlanError> {
        match &self.misfit {
            None => Ok(Arc::clone(&self.remote)),
            Some(misfit) => Err(misfit.clone().into()),
        }
    }
}

impl Meeting {
    pub(super) fn new(name: String, channel: Arc<dyn Channel>, section: Value) -> Self {
        Self {
            name,
            channel,
            section,
            last: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who it last said it is; none while it was not met.
    pub(super) fn info(&self) -> Option<PluginInfo> {
        let last = self.lock();
        last.met.as_ref().map(|met| met.remote.info().clone())
    }

    /// What is wrong with it, if anything is.
    pub(super) fn error(&self) -> Option<String> {
        let last = self.lock();
        let misfit = || Some(last.met.as_ref()?.misfit.as_ref()?.to_string());
        let known = self.channel.fault().or_else(|| last.error.clone());
        known.or_else(misfit)
    }

    /// The Datasets over which it failed.
    pub(super) fn culprits(&self) -> Vec<Culprit> {
        self.channel.culprits()
    }

    /// The plugin, once it has said who it is and its section of the configuration fits what it says.
    pub(super) async fn meet(&self) -> Result<Arc<Remote>, PlanError> {
        let generation = self.channel.generation();
        if let Some(met) = &self.lock().met
            && met.generation == generation
        {
            return met.planner();
        }
        let remote = Remote::meet(Arc::clone(&self.channel)).await;
        match remote {
            Ok(remote) => {
                let met = Met {
                    generation: self.channel.generation(),
                    misfit: self.misfit(remote.info()),
                    remote: Arc::new(remote),
                };
                let planner = met.planner();
                let mut last = self.lock();
                last.met = Some(met);
                last.error = None;
                planner
            }
            Err(error) => {
                self.lock().error = Some(error.to_string());
                Err(error.into())
            }
        }
    }

    fn misfit(&self, info: &PluginInfo) -> Option<Misfit> {
        warn_if_unchecked(&self.name, info, &self.section);
        let misfit = schema::check(info, &self.section).err()?;
        tracing::warn!(plugin = self.name, %misfit, "it plans nothing");
        Some(misfit)
    }
}

/// Tells of a section that nobody checks: a key that is misspelt there does nothing.
pub(crate) fn warn_if_unchecked(name: &str, info: &PluginInfo, section: &Value) {
    if info.config_schema.is_none() && !schema::is_empty(section) {
        tracing::warn!(
            plugin = name,
            "it has a section of the configuration and describes none (configSchema): nothing of it is checked"
        );
    }
}

#[cfg(test)]
mod tests;
