/// Suffixes of a Kubernetes quantity that a size of data has.
const SUFFIXES: [&str; 11] = ["", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"];

/// Whether it is a Kubernetes quantity above zero: nothing else can be the size of a claim.
#[must_use]
pub fn is_positive_quantity(text: &str) -> bool {
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && number.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
        && SUFFIXES.contains(&suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_above_zero_with_a_suffix_or_without() {
        for size in ["5Gi", "1", "0.5Ti", "100M", "10.0Ki"] {
            assert!(is_positive_quantity(size), "{size}");
        }
        for wrong in [
            "", "0", "0Gi", "0.0Gi", "Gi", "-1Gi", "1.2.3", ".5Gi", "5.", "5GB", "5 Gi",
        ] {
            assert!(!is_positive_quantity(wrong), "{wrong}");
        }
    }
}
