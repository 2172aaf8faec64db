/// Milliseconds of a duration as `500ms`, `60s`, `10m` or `1h`; none when it is no such duration, or
/// one that no number of 64 bits holds.
#[must_use]
pub fn duration_ms(text: &str) -> Option<u64> {
    let digits = text.len()
        - text
            .trim_start_matches(|byte: char| byte.is_ascii_digit())
            .len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(duration_ms("500ms"), Some(500));
        assert_eq!(duration_ms("0s"), Some(0));
        assert_eq!(duration_ms("2h"), Some(7_200_000));
        for wrong in [
            "",
            "60",
            "s",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(duration_ms(wrong), None, "{wrong}");
        }
    }
}
