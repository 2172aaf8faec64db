//! The tables of the document.

use std::collections::BTreeMap;

/// Columns of a table that can be run.
const COLUMNS: [&str; 4] = ["Objects before", "Operations", "Answer", "Objects after"];

/// Options of the mount that a table is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) readonly: bool,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) umask: u32,
    pub(crate) fs_group: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) heading: String,
    pub(crate) options: Options,
    pub(crate) rows: Vec<Row>,
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
    let (mut heading, mut options, mut inside) = ("", Options::default(), false);
    for line in document.lines() {
        if let Some(text) = line.strip_prefix("## ") {
            (heading, options) = (text, Options::default());
        }
        if let Some(text) = line.strip_prefix("Mount options: ") {
            options = parse_options(text);
        }
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if cells == COLUMNS {
            inside = true;
            tables.push(Table {
                heading: heading.to_owned(),
                options: options.clone(),
                rows: Vec::new(),
            });
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

fn parse_options(text: &str) -> Options {
    let mut options = Options::default();
    for word in unquoted(text.trim_end_matches('.')).split(' ') {
        match word.split_once('=') {
            None if word == "readonly" => options.readonly = true,
            Some(("uid", value)) => options.uid = value.parse().ok(),
            Some(("gid", value)) => options.gid = value.parse().ok(),
            Some(("fs_group", value)) => options.fs_group = value.parse().ok(),
            Some(("umask", value)) => options.umask = u32::from_str_radix(value, 8).unwrap(),
            _ => panic!("unknown option {word}"),
        }
    }
    options
}

fn unquoted(cell: &str) -> &str {
    cell.trim_matches('`')
}

/// `$255` stands for a name of so many bytes.
fn expand(text: &str) -> String {
    let mut text = text.to_owned();
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
