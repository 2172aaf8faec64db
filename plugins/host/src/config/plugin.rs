use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use dlf_core::plugin::Needs;
use serde::{Deserialize, Serialize};

/// One plugin.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PluginConfig {
    /// How it runs.
    pub carrier: Carrier,
    /// Isolated: where it answers, as `https://HOST:PORT`.
    pub url: Option<String>,
    /// In-process: absolute path of the shared library.
    pub path: Option<PathBuf>,
    /// In-process: the SHA-256 that the library must have, in hex.
    pub sha256: Option<String>,
    /// External: who writes its effective sources, as `system:serviceaccount:NAMESPACE:NAME`.
    pub service_account: Option<String>,
    /// What it may have of what it says that it needs.
    #[serde(default)]
    pub grants: BTreeSet<Grant>,
    /// The plugin's own section, handed to it as it stands.
    #[serde(default)]
    pub config: serde_json::Value,
}

/// What a plugin may have beyond what every plugin has.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// The keys of the sources that it caches, for its pods.
    SourceKeys,
}

impl Grant {
    /// What has to be granted to a plugin that needs this.
    pub fn needed(needs: Needs) -> impl Iterator<Item = Self> {
        needs.source_keys.then_some(Self::SourceKeys).into_iter()
    }

    /// Its word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SourceKeys => "source-keys",
        }
    }

    /// What it is, for a person.
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::SourceKeys => "the keys of the sources that it caches",
        }
    }
}

/// How a plugin runs.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// Compiled into the operator.
    Builtin,
    /// In a process of its own, spoken to over mutual TLS.
    Isolated,
    /// A shared library in the operator's process.
    InProcess,
    /// A controller of its own, which writes effective sources.
    External,
}

impl Carrier {
    /// Its word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Isolated => "isolated",
            Self::InProcess => "in-process",
            Self::External => "external",
        }
    }
}

/// Host and port of an isolated plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or address, as the plugin's certificate has it.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Address {
    /// Reads `https://HOST:PORT`.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("https://")?;
        let (host, port) = rest.strip_suffix('/').unwrap_or(rest).rsplit_once(':')?;
        let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        let fits = !host.is_empty() && host.bytes().all(named);
        let port = port.parse().ok().filter(|port| *port > 0)?;
        fits.then(|| Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl PluginConfig {
    /// What no type says; an error with the key it is about and what was found and expected there.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let given = [
            ("url", Carrier::Isolated, self.url.is_some()),
            ("path", Carrier::InProcess, self.path.is_some()),
            ("sha256", Carrier::InProcess, self.sha256.is_some()),
            (
                "service_account",
                Carrier::External,
                self.service_account.is_some(),
            ),
        ];
        let own = self.carrier.as_str();
        for (key, carrier, _) in given.iter().filter(|(_, _, given)| *given) {
            if *carrier != self.carrier {
                let whose = carrier.as_str();
                return Err((
                    key,
                    format!("belongs to carrier {whose:?}, and this plugin's is {own:?}"),
                ));
            }
        }
        match self.carrier {
            Carrier::Builtin => Ok(()),
            Carrier::Isolated => self.address().map(drop),
            Carrier::InProcess => self.library().map(drop),
            Carrier::External => self.writer().map(drop),
        }
    }

    /// Where an isolated plugin answers.
    pub(crate) fn address(&self) -> Result<Address, (&'static str, String)> {
        let found = self.url.as_deref();
        found.and_then(Address::parse).ok_or_else(|| {
            let expected =
                "expected where the isolated plugin answers, as \"https://dlf-plugin-acme:8443\"";
            ("url", format!("found {found:?}; {expected}"))
        })
    }

    /// The file of an in-process plugin.
    pub(crate) fn library(&self) -> Result<&Path, (&'static str, String)> {
        let found = self.path.as_deref();
        let plain = |path: &Path| {
            let mut parts = path.components();
            path.is_absolute() && parts.all(|part| part != Component::ParentDir)
        };
        found.filter(|path| plain(path)).ok_or_else(|| {
            let expected =
                "expected the absolute path of the shared library, as \"/plugins/libacme.so\"";
            ("path", format!("found {found:?}; {expected}"))
        })
    }

    /// Who writes the effective sources of an external plugin.
    pub(crate) fn writer(&self) -> Result<&str, (&'static str, String)> {
        let found = self.service_account.as_deref();
        let is_account = |user: &&str| {
            let rest = user.strip_prefix("system:serviceaccount:");
            let parts = rest.and_then(|rest| rest.split_once(':'));
            parts.is_some_and(|(namespace, name)| {
                !namespace.is_empty() && !name.is_empty() && !name.contains(':')
            })
        };
        found.filter(is_account).ok_or_else(|| {
            let expected = "expected the service account of the plugin's controller, as \"system:serviceaccount:dlf-system:acme\"";
            ("service_account", format!("found {found:?}; {expected}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use figment::{
        Figment,
        providers::{Format, Toml},
    };

    use super::*;

    fn plugin(toml: &str) -> Result<(), (&'static str, String)> {
        let read: PluginConfig = Figment::from(Toml::string(toml)).extract().unwrap();
        read.check()
    }

    #[test]
    fn each_carrier_has_its_own_keys_and_needs_them() {
        for good in [
            "carrier = \"builtin\"\nconfig = { a = 1 }",
            "carrier = \"isolated\"\nurl = \"https://dlf-plugin-acme.dlf-system.svc:8443\"",
            "carrier = \"in-process\"\npath = \"/plugins/libacme.so\"\nsha256 = \"00\"",
            "carrier = \"external\"\nservice_account = \"system:serviceaccount:ns:acme\"",
        ] {
            assert_eq!(plugin(good), Ok(()), "{good}");
        }
        for (bad, key, part) in [
            ("carrier = \"isolated\"", "url", "https://"),
            (
                "carrier = \"isolated\"\nurl = \"http://acme:8443\"",
                "url",
                "http://acme",
            ),
            (
                "carrier = \"isolated\"\nurl = \"https://acme\"",
                "url",
                "https://acme",
            ),
            (
                "carrier = \"in-process\"\npath = \"libacme.so\"",
                "path",
                "absolute",
            ),
            (
                "carrier = \"in-process\"\npath = \"/plugins/../x.so\"",
                "path",
                "absolute",
            ),
            (
                "carrier = \"external\"\nservice_account = \"acme\"",
                "service_account",
                "system:serviceaccount",
            ),
            (
                "carrier = \"builtin\"\npath = \"/x.so\"",
                "path",
                "in-process",
            ),
        ] {
            let (found, why) = plugin(bad).unwrap_err();
            assert_eq!(found, key, "{bad}");
            assert!(why.contains(part), "{why}");
        }
    }
}
