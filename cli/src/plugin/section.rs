//! A plugin's section of the configuration, as its author gives it.

use std::{error::Error, path::Path};

use serde_json::Value;

use super::dataset;

/// Reads what `--config` says: JSON, or a file of JSON or YAML; null without it.
pub(crate) fn read(given: Option<&str>) -> Result<Value, Box<dyn Error>> {
    let Some(given) = given else {
        return Ok(Value::Null);
    };
    let section: Value = if given.trim_start().starts_with('{') {
        serde_json::from_str(given).map_err(|error| format!("--config: {error}"))?
    } else {
        let text = dataset::text(Path::new(given)).map_err(|error| {
            format!("--config: {error}; expected a file, or JSON as '{{\"image\": \"acme:1\"}}'")
        })?;
        serde_saphyr::from_str(&text).map_err(|error| format!("--config: {given}: {error}"))?
    };
    if section.is_object() || section.is_null() {
        return Ok(section);
    }
    Err(format!(
        "--config: found {section}; expected the keys of the plugin's section, as image: acme:1"
    )
    .into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_section_is_json_or_a_file_of_json_or_yaml() {
        assert_eq!(read(None).unwrap(), Value::Null);
        let expected = json!({ "tier": "nvme", "shards": [1] });
        assert_eq!(read(Some(&format!(" {expected}"))).unwrap(), expected);
        let directory = tempfile::tempdir().unwrap();
        for text in ["tier: nvme\nshards: [1]\n".to_owned(), expected.to_string()] {
            let file = directory.path().join("section");
            fs::write(&file, text).unwrap();
            assert_eq!(read(file.to_str()).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_section_is_refused_with_where_it_was_given() {
        for (given, expected) in [
            ("{\"tier\": }", "--config: expected value"),
            ("/nowhere.yaml", "--config: /nowhere.yaml"),
            ("/dev/null/section", "expected a file, or JSON"),
        ] {
            let said = read(Some(given)).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "- tier\n").unwrap();
        let said = read(file.path().to_str()).unwrap_err().to_string();
        assert!(said.contains("found [\"tier\"]"), "{said}");
    }
}
