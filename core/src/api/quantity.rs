/// Suffixes of a Kubernetes quantity that a size of data has, and what they stand for.
const SUFFIXES: [(&str, u64); 11] = [
    ("", 1),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
];

/// Whether it is a Kubernetes quantity above zero: nothing else can be the size of a claim.
#[must_use]
pub fn is_positive_quantity(text: &str) -> bool {
    parts(text).is_some()
}

/// Bytes of a Kubernetes quantity above zero, rounded up; none when it is no such quantity, or one
/// that no number of 64 bits holds.
#[must_use]
pub fn quantity_bytes(text: &str) -> Option<u64> {
    let (whole, fraction, unit) = parts(text)?;
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let bytes = digits.checked_mul(u128::from(unit))?.div_ceil(scale);
    u64::try_from(bytes).ok()
}

/// Digits before the point, digits after it, and bytes of the unit.
fn parts(text: &str) -> Option<(&str, &str, u64)> {
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unit = SUFFIXES.iter().find(|(name, _)| *name == suffix)?.1;
    let fits =
        digits(whole) && digits(fraction) && number.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    fits.then_some((whole, fraction, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_above_zero_with_a_suffix_or_without() {
        for size in ["5Gi", "1", "0.5Ti", "100M", "10.0Ki"] {
            assert!(is_positive_quantity(size), "{size}");
            assert!(quantity_bytes(size).is_some(), "{size}");
        }
        for wrong in [
            "", "0", "0Gi", "0.0Gi", "Gi", "-1Gi", "1.2.3", ".5Gi", "5.", "5GB", "5 Gi",
        ] {
            assert!(!is_positive_quantity(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_quantity_is_a_number_of_bytes() {
        for (text, bytes) in [
            ("1", 1),
            ("5Gi", 5 << 30),
            ("100M", 100_000_000),
            ("0.5Ki", 512),
            ("0.1", 1),
            ("1.5k", 1500),
        ] {
            assert_eq!(quantity_bytes(text), Some(bytes), "{text}");
        }
        assert_eq!(quantity_bytes("99999999Pi"), None);
        assert_eq!(quantity_bytes(&format!("0.{}1", "0".repeat(60))), None);
        assert_eq!(quantity_bytes("x"), None);
    }
}
