//! The servers of a cache that keeps a part of every object on each.

use dlf_core::shards::{SHARD_BYTES_MIN, SHARDS_MAX, shard_of, unit_end, unit_of};

use super::{ConfigError, Endpoint};

/// Servers of one cache, and how objects are cut among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shards {
    endpoints: Vec<Endpoint>,
    /// As they were given: names are what is hashed.
    names: Vec<String>,
    unit_bytes: u64,
}

impl Shards {
    /// Servers by their URLs, which are their names, too. `unit_bytes`: how much of an object stays
    /// together, in bytes; 0: all of it.
    ///
    /// # Errors
    /// A URL that is none, no URL at all or too many, units that are too short.
    pub fn new(names: Vec<String>, unit_bytes: u64) -> Result<Self, ConfigError> {
        let endpoints = names.iter().map(|name| name.parse());
        let shards = Self {
            endpoints: endpoints.collect::<Result<_, _>>()?,
            names,
            unit_bytes,
        };
        shards.validate()?;
        Ok(shards)
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let (count, unit) = (self.names.len(), self.unit_bytes);
        if !(1..=SHARDS_MAX).contains(&count) {
            return Err(ConfigError::Shards(format!(
                "found {count} of them; there may be 1 to {SHARDS_MAX}"
            )));
        }
        if unit != 0 && unit < SHARD_BYTES_MIN {
            return Err(ConfigError::Shards(format!(
                "found units of {unit} bytes; they have {SHARD_BYTES_MIN} at least, or 0 for whole objects"
            )));
        }
        Ok(())
    }

    pub(crate) fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Index of the server that has a byte of an object of this bucket, by its whole key.
    pub(crate) fn of(&self, bucket: &str, key: &str, offset: u64) -> usize {
        let names = self.names.iter().map(String::as_str);
        let unit = unit_of(offset, self.unit_bytes);
        shard_of(names, bucket, key, unit).unwrap_or_default()
    }

    /// The first byte behind those that the same server has.
    pub(crate) fn unit_end(&self, offset: u64) -> u64 {
        unit_end(offset, self.unit_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let shards = |count, unit| Shards::new(vec!["http://shard".to_owned(); count], unit);
        for unit in [0, SHARD_BYTES_MIN, u64::MAX] {
            assert!(shards(2, unit).is_ok());
        }
        assert!(shards(0, 0).is_err() && shards(SHARDS_MAX + 1, 0).is_err());
        let short = shards(2, 1).unwrap_err().to_string();
        assert!(short.contains("units of 1 bytes"), "{short}");
        assert!(Shards::new(vec!["shard".to_owned()], 0).is_err());
    }
}
