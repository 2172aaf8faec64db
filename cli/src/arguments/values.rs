//! Values of the command line that are checked before anything is asked.

use std::time::Duration;

use dlf_core::api::{ApiGroup, duration_ms};

/// Longest name of a namespace, and of a Dataset, which pods name in a label.
const LABEL_BYTES_MAX: usize = 63;

/// A DNS label, as names of namespaces and Datasets are.
pub(super) fn label(text: &str) -> Result<String, String> {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=LABEL_BYTES_MAX).contains(&text.len())
        && text.bytes().all(inside)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "expected 1 to {LABEL_BYTES_MAX} lower-case letters, digits and inner hyphens"
        ))
    }
}

/// One of the two API groups.
pub(super) fn group(text: &str) -> Result<ApiGroup, String> {
    ApiGroup::parse(text).ok_or_else(|| {
        let known = ApiGroup::ALL.map(ApiGroup::name).join(" or ");
        format!("expected {known}")
    })
}

/// How long to wait: a second at least.
pub(super) fn deadline(text: &str) -> Result<Duration, String> {
    duration_ms(text)
        .filter(|ms| *ms >= 1000)
        .map(Duration::from_millis)
        .ok_or_else(|| "expected a duration of at least 1s, as 90s or 5m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_path() {
        for name in ["books", "b-2", "0"] {
            assert!(label(name).is_ok(), "{name}");
        }
        for name in ["", "../nodes", "a/b", "Books", "-a", "a-", "a.b", "a?b"] {
            assert!(label(name).is_err(), "{name}");
        }
        assert!(label(&"a".repeat(64)).is_err());
    }

    #[test]
    fn nobody_waits_for_no_time() {
        assert_eq!(deadline("2m"), Ok(Duration::from_mins(2)));
        for wrong in ["120", "0s", "1ms", "soon"] {
            assert!(deadline(wrong).unwrap_err().contains("90s"), "{wrong}");
        }
    }

    #[test]
    fn a_group_is_one_of_ours() {
        assert_eq!(group("datashim.io"), Ok(ApiGroup::Datashim));
        assert!(group("apps").unwrap_err().contains("com.ie.ibm.hpsys"));
    }
}
