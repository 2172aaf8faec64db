//! How people like to read ages, sizes and tables.

use k8s_openapi::jiff::Timestamp;

/// Between two columns, as kubectl has it.
const GAP: &str = "   ";
/// What stands where there is nothing to say.
pub(crate) const NOTHING: &str = "-";

/// A table whose columns are as wide as they need to be.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let lines = || std::iter::once(&head).chain(rows);
    let width = |column: usize| {
        let cells = lines().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        let joined = cells.collect::<Vec<_>>().join(GAP);
        format!("{}\n", joined.trim_end())
    };
    lines().map(line).collect()
}

/// How long ago that was, in its largest unit that is not too coarse.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (2.., _, _) => format!("{days}d"),
        (_, 2.., _) => format!("{hours}h"),
        (_, _, 2..) => format!("{minutes}m"),
        _ => format!("{seconds}s"),
    }
}

/// A number of bytes.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    // In tenths, so that no float is needed: `count` is below 2^64, a tenth of it too large for none.
    let (mut tenths, mut unit) = (u128::from(count) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `text` with each of its lines moved to the right.
pub(crate) fn indented(text: &str, by: usize) -> String {
    let space = " ".repeat(by);
    let lines = text.lines();
    let lines = lines.flat_map(|line| [space.as_str(), line, "\n"]);
    lines.collect()
}

/// `1 pod`, `2 pods`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let rows = [
            vec!["a".to_owned(), "übung".to_owned(), String::new()],
            vec!["longer".to_owned(), "x".to_owned(), "y".to_owned()],
        ];
        let shown = table(&["NAME", "B", "C"], &rows);
        assert_eq!(
            shown,
            "NAME     B       C\na        übung\nlonger   x       y\n"
        );
    }

    #[test]
    fn ages_and_sizes_are_short() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for (seconds, shown) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7200, "2h"),
            (172_800, "2d"),
        ] {
            assert_eq!(age(at(0), at(seconds)), shown);
        }
        for (count, shown) in [
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536 << 20, "1.5 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
    }
}
