use std::{path::PathBuf, sync::Arc, time::Duration};

use dlf_plugin_host::{BuiltIn, Config, Registry, metrics::Metrics};
use tokio::{sync::watch, time::sleep};
use tracing::{info, warn};

use super::ReplicaError;
use crate::plugins::PluginConnectors;

/// A mounted ConfigMap takes up to a minute to change; looking at it is one small read.
const INTERVAL: Duration = Duration::from_secs(10);

/// The configuration file and the plugins it chooses among.
pub(super) struct Configuration {
    pub(super) path: Option<PathBuf>,
    pub(super) built_in: Vec<BuiltIn>,
    pub(super) connectors: PluginConnectors,
    pub(super) metrics: Metrics,
}

impl Configuration {
    /// The plugins and routes that the file asks for.
    pub(super) fn load(&self) -> Result<Arc<Registry>, ReplicaError> {
        let config = Arc::new(Config::load(self.path.as_deref())?);
        let registry = Registry::new(
            self.built_in.clone(),
            config,
            &self.connectors,
            &self.metrics,
        )?;
        Ok(Arc::new(registry))
    }

    /// Puts a changed file into force, if it is good. Runs for as long as there is a file.
    pub(super) async fn follow(self, current: watch::Sender<Arc<Registry>>) {
        let Some(path) = &self.path else { return };
        let mut seen = None;
        loop {
            let text = tokio::fs::read(path).await.ok();
            // The first look is another than the one at the start, and finds out what it missed.
            if seen.as_ref() != Some(&text) {
                self.put_into_force(&current);
                seen = Some(text);
            }
            sleep(INTERVAL).await;
        }
    }

    fn put_into_force(&self, current: &watch::Sender<Arc<Registry>>) {
        match self.load() {
            Ok(fresh) => {
                let changed = current.send_if_modified(|before| {
                    let changed = before.config() != fresh.config();
                    if changed {
                        *before = fresh;
                    }
                    changed
                });
                if changed {
                    info!("a changed configuration is in force");
                }
            }
            Err(error) => warn!(%error, "the configuration as it was stays in force"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::certificates::Leaf;

    #[test]
    fn a_bad_change_leaves_the_last_good_configuration_in_force() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dlf.toml");
        let configuration = Configuration {
            path: Some(path.clone()),
            built_in: Vec::new(),
            connectors: PluginConnectors::new(Leaf::default()),
            metrics: Metrics::default(),
        };
        fs::write(&path, "").unwrap();
        let current = watch::Sender::new(configuration.load().unwrap());
        let mut seen = current.subscribe();
        let mut change = |text: &str| {
            fs::write(&path, text).unwrap();
            configuration.put_into_force(&current);
            seen.has_changed().unwrap() && !seen.borrow_and_update().config().admission.inline_keys
        };
        assert!(!change("# nothing new"));
        assert!(!change("[admission]\ninline_keys = \"perhaps\""));
        assert!(change("[admission]\ninline_keys = false"));
    }
}
