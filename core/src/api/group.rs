use std::fmt;

/// The only version either group serves.
pub const VERSION: &str = "v1alpha1";

/// One of the two API groups that serve the same kinds: two stores, never converted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApiGroup {
    /// `com.ie.ibm.hpsys`: the original's.
    #[default]
    Hpsys,
    /// `datashim.io`: the successor's, so that its users need not touch a manifest.
    Datashim,
}

impl ApiGroup {
    /// Both groups, the older first.
    pub const ALL: [Self; 2] = [Self::Hpsys, Self::Datashim];

    /// The group's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hpsys => "com.ie.ibm.hpsys",
            Self::Datashim => "datashim.io",
        }
    }

    /// `group/version`, as objects of the group say it.
    #[must_use]
    pub fn api_version(self) -> String {
        format!("{}/{VERSION}", self.name())
    }

    /// The group of an object by its `apiVersion` or its bare group name.
    #[must_use]
    pub fn parse(api_version: &str) -> Option<Self> {
        let group = api_version.split('/').next()?;
        Self::ALL.into_iter().find(|known| known.name() == group)
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Hpsys => Self::Datashim,
            Self::Datashim => Self::Hpsys,
        }
    }
}

impl fmt::Display for ApiGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
