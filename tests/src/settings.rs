use std::{collections::BTreeMap, fs, path::Path, sync::OnceLock};

/// What the test cluster offers, as `target/cluster/cluster.env` says it.
#[derive(Debug)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// A value of the file; the environment wins.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> String {
        std::env::var(name)
            .ok()
            .or_else(|| self.0.get(name).cloned())
            .unwrap_or_else(|| panic!("{name} is not set: run `make cluster` first"))
    }

    /// Whether the cluster is our own, whose parts may be killed.
    #[must_use]
    pub fn is_our_own(&self) -> bool {
        self.0.contains_key("CLUSTER_RUN")
    }
}

/// The settings of this checkout's cluster.
pub fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/cluster/cluster.env");
        let text = fs::read_to_string(file).unwrap_or_default();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Settings(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    })
}
