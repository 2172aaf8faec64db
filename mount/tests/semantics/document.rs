//! The tables of the document.

use std::collections::BTreeMap;

/// Columns of a table that can be run.
const COLUMNS: [&str; 4] = ["Objects before", "Operations", "Answer", "Objects after"];

/// How old an answer may be. A Dataset's default is a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revalidate {
    AtOnce,
    Default,
    Never,
}

impl Revalidate {
    fn parse(text: &str) -> Self {
        match text {
            "0s" => Self::AtOnce,
            "60s" => Self::Default,
            "never" => Self::Never,
            _ => panic!("unknown revalidate {text}"),
        }
    }
}

/// Options of the mount that a table is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) readonly: bool,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) umask: u32,
    pub(crate) fs_group: Option<u32>,
    /// Directories of the mount, and what the keys of what each shows begin with.
    pub(crate) roots: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) heading: String,
    pub(crate) options: Options,
    /// How old an answer may be where the rows hold.
    pub(crate) revalidate: Vec<Revalidate>,
    /// Whether the rows rest on a server that honours `If-Match` and `If-None-Match`.
    pub(crate) needs_conditions: bool,
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// One that says nothing of itself.
    fn new() -> Self {
        Self {
            heading: String::new(),
            options: Options::default(),
            revalidate: vec![Revalidate::AtOnce, Revalidate::Default],
            needs_conditions: false,
            rows: Vec::new(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) before: BTreeMap<String, String>,
    pub(crate) steps: String,
    pub(crate) answer: String,
    pub(crate) after: BTreeMap<String, String>,
}

/// All tables that can be run, in order.
pub(crate) fn tables(document: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let (mut next, mut inside) = (Table::new(), false);
    for line in document.lines() {
        if let Some(text) = line.strip_prefix("## ") {
            next = Table::new();
            text.clone_into(&mut next.heading);
        }
        if let Some(text) = line.strip_prefix("Mount options: ") {
            next.options = parse_options(text);
        }
        // These two are said of one table, the options of a chapter.
        if let Some(text) = line.strip_prefix("Revalidate: ") {
            next.revalidate = quotations(text).map(Revalidate::parse).collect();
        }
        if line.starts_with("Needs: conditional requests") {
            next.needs_conditions = true;
        }
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if cells == COLUMNS {
            inside = true;
            let after = Table {
                heading: next.heading.clone(),
                options: next.options.clone(),
                ..Table::new()
            };
            tables.push(std::mem::replace(&mut next, after));
        } else if !line.starts_with('|') {
            inside = false;
        } else if inside && !line.starts_with("| ---") {
            let [before, steps, answer, after] = cells[..] else {
                panic!("not four columns: {line}");
            };
            tables.last_mut().unwrap().rows.push(Row {
                before: objects(before),
                steps: expand(unquoted(steps)),
                answer: expand(unquoted(answer)),
                after: objects(after),
            });
        }
    }
    tables
}

/// What stands between backticks.
fn quotations(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn parse_options(text: &str) -> Options {
    let mut options = Options::default();
    for word in unquoted(text.trim_end_matches('.')).split(' ') {
        match word.split_once('=') {
            None if word == "readonly" => options.readonly = true,
            Some(("uid", value)) => options.uid = value.parse().ok(),
            Some(("gid", value)) => options.gid = value.parse().ok(),
            Some(("fs_group", value)) => options.fs_group = value.parse().ok(),
            Some(("umask", value)) => options.umask = u32::from_str_radix(value, 8).unwrap(),
            Some(("root", value)) => {
                let (path, prefix) = value.split_once(':').expect("root=path:prefix");
                options.roots.push((path.to_owned(), prefix.to_owned()));
            }
            _ => panic!("unknown option {word}"),
        }
    }
    options
}

fn unquoted(cell: &str) -> &str {
    cell.trim_matches('`')
}

/// `$255` stands for a name of so many bytes, `\0` for the byte 0.
fn expand(text: &str) -> String {
    let mut text = text.replace("\\0", "\0");
    for length in [255, 256] {
        text = text.replace(&format!("${length}"), &"n".repeat(length));
    }
    text
}

fn objects(cell: &str) -> BTreeMap<String, String> {
    if cell == "-" {
        return BTreeMap::new();
    }
    let objects = expand(unquoted(cell));
    let parse = |object: &str| {
        let (key, body) = object.split_once('=').expect("key=\"bytes\"");
        (key.to_owned(), body.trim_matches('"').to_owned())
    };
    objects.split(' ').map(parse).collect()
}
