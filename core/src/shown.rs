//! How words of tenants, of plugins and of programs are shown to people: in conditions, events and logs.

/// Characters of a file's name that are shown: enough to know it by, and a few fit on a line.
const FILE_NAME_MAX: usize = 80;

/// A file's name, in quotes: what a terminal or a reader could take for something else is escaped,
/// and of a long one the beginning is left out, since files of one place differ at the end.
#[must_use]
pub fn file_name(path: &str) -> String {
    let count = path.chars().count();
    let end: String = path
        .chars()
        .skip(count.saturating_sub(FILE_NAME_MAX))
        .flat_map(char::escape_debug)
        .collect();
    let cut = if count > FILE_NAME_MAX { "…" } else { "" };
    format!("\"{cut}{end}\"")
}

/// Some files' names, one after the other.
#[must_use]
pub fn file_names<'a>(paths: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = paths.into_iter().map(file_name).collect();
    names.join(", ")
}

/// What somebody else wrote, on one line of at most `bytes_max` bytes and an ellipsis: white space is one
/// space, a terminal's colours are left out, and what a terminal or a reader could take for something else
/// is escaped.
#[must_use]
pub fn line(text: &str, bytes_max: usize) -> String {
    let mut shown = String::new();
    let mut characters = text.trim().chars().peekable();
    while let Some(character) = characters.next() {
        let before = shown.len();
        match character {
            '\u{1b}' if characters.next_if_eq(&'[').is_some() => {
                while characters.next_if(|c| (' '..='?').contains(c)).is_some() {}
                let _ = characters.next_if(|c| ('@'..='~').contains(c));
            }
            space if space.is_whitespace() => {
                if !shown.ends_with(' ') {
                    shown.push(' ');
                }
            }
            '"' | '\'' | '\\' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
        if shown.len() > bytes_max {
            shown.truncate(before);
            shown.push('…');
            break;
        }
    }
    shown
}

/// How many, in a text that is not to change with each one more: above twenty the last of 20, 50,
/// 100, 200, 500 and so on that was reached.
#[must_use]
pub fn about(count: u64) -> String {
    const EXACT_MAX: u64 = 20;
    if count <= EXACT_MAX {
        return count.to_string();
    }
    let decade = 10_u64.pow(count.ilog10());
    let step = match count / decade {
        1 => 1,
        2..5 => 2,
        _ => 5,
    };
    format!("at least {}", step * decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_says_nothing_to_a_terminal_and_keeps_every_alphabet() {
        for (path, shown) in [
            ("a/b c.txt", "\"a/b c.txt\""),
            ("größe/数据.csv", "\"größe/数据.csv\""),
            ("x\u{1b}[2J", "\"x\\u{1b}[2J\""),
            ("a\nWarning: b", "\"a\\nWarning: b\""),
            ("\u{202e}gpj.exe", "\"\\u{202e}gpj.exe\""),
            ("say \"hi\"", "\"say \\\"hi\\\"\""),
            ("", "\"\""),
        ] {
            assert_eq!(file_name(path), shown);
        }
    }

    #[test]
    fn a_long_file_name_keeps_its_end() {
        let long = format!("{}é.txt", "d/".repeat(1000));
        let shown = file_name(&long);
        assert!(
            shown.starts_with("\"…") && shown.ends_with("é.txt\""),
            "{shown}"
        );
        assert_eq!(shown.chars().count(), FILE_NAME_MAX + 3);
        let hostile = file_name(&"\u{1b}".repeat(10_000));
        assert!(hostile.len() < 10 * FILE_NAME_MAX, "{}", hostile.len());
    }

    #[test]
    fn words_of_others_are_one_line_that_obeys_nobody_and_ends() {
        for (text, shown) in [
            (
                "errors:\n  .spec: no\n  .kind: no\n",
                "errors: .spec: no .kind: no",
            ),
            ("say \"hi\" to C:\\x", "say \"hi\" to C:\\x"),
            (
                "\u{1b}[2m12:00\u{1b}[0m \u{1b}[31mGröße\u{1b}[",
                "12:00 Größe",
            ),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            (" \n", ""),
        ] {
            assert_eq!(line(text, 100), shown);
        }
        assert_eq!(line("1234567", 7), "1234567");
        assert_eq!(line("12345678", 7), "1234567…");
        assert_eq!(line("éééé", 7), "ééé…");
        assert_eq!(line(&"\u{1b}".repeat(10_000), 7), "\\u{1b}…");
    }

    #[test]
    fn a_number_that_grows_changes_a_text_now_and_then() {
        for (count, shown) in [
            (1, "1"),
            (20, "20"),
            (21, "at least 20"),
            (99, "at least 50"),
            (100, "at least 100"),
            (499, "at least 200"),
            (u64::MAX, "at least 10000000000000000000"),
        ] {
            assert_eq!(about(count), shown);
        }
        let texts: std::collections::BTreeSet<String> = (1..=100_000).map(about).collect();
        assert!(texts.len() < 40, "{}", texts.len());
    }
}
