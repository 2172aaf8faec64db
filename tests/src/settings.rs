use std::{collections::BTreeMap, env, fs, path::PathBuf, sync::OnceLock};

use crate::skip;

/// What the test cluster offers, as `make cluster` wrote it to `target/cluster/cluster.env`.
#[derive(Debug)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// A value, if the cluster offers it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// A value.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> String {
        self.find(name)
            .unwrap_or_else(|| panic!("{name} is not set: run `make cluster` first"))
    }

    /// Whether the cluster is our own, whose parts may be killed.
    #[must_use]
    pub fn is_our_own(&self) -> bool {
        self.0.contains_key("CLUSTER_RUN")
    }
}

/// Whether all of `names` are set; if not, says that this test is skipped. Another cluster than our own has
/// what its user gave.
#[must_use]
pub fn is_given(names: &[&str]) -> bool {
    let missing = names.iter().find(|name| settings().find(name).is_none());
    if let Some(missing) = missing {
        skip(&format!("{missing} is not given"));
    }
    missing.is_none()
}

/// The settings of this checkout's cluster, or of the file that `DLF_TEST_ENV` names.
pub fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let own = || PathBuf::from("../target/cluster/cluster.env");
        let file = env::var_os("DLF_TEST_ENV").map_or_else(own, PathBuf::from);
        let text = fs::read_to_string(file).unwrap_or_default();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Settings(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    })
}
