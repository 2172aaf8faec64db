use std::collections::BTreeMap;

use super::{
    DatasetUse, LabelError, Mode, PathProblem, check_mount_path, check_subpath, is_dns_label,
};

/// Key as written and value, by number and word.
pub(super) type Found<'a> = BTreeMap<(u32, &'a str), (&'a str, &'a str)>;

/// Reads one number's values.
pub(super) struct Reader<'a> {
    pub(super) labels: &'a Found<'a>,
    pub(super) annotations: &'a Found<'a>,
    pub(super) index: u32,
    pub(super) errors: &'a mut Vec<LabelError>,
}

impl Reader<'_> {
    pub(super) fn read(mut self, (key, id): (&str, &str)) -> Option<DatasetUse> {
        let before = self.errors.len();
        if !is_dns_label(id) {
            self.errors.push(LabelError::InvalidId {
                key: key.to_owned(),
                found: id.to_owned(),
            });
        }
        let read = DatasetUse {
            index: self.index,
            id: id.to_owned(),
            mode: self.mode(),
            path: self.path("path", check_mount_path),
            containers: self.containers(),
            readonly: self.readonly(),
            subpath: self.path("subpath", check_subpath),
        };
        (self.errors.len() == before).then_some(read)
    }

    fn mode(&mut self) -> Mode {
        let Some((key, word)) = self.labels.get(&(self.index, "useas")) else {
            return Mode::Mount;
        };
        Mode::parse(word).unwrap_or_else(|| {
            self.errors.push(LabelError::UnknownMode {
                key: (*key).to_owned(),
                found: (*word).to_owned(),
            });
            Mode::Mount
        })
    }

    fn path(&mut self, word: &str, check: fn(&str) -> Result<&str, PathProblem>) -> Option<String> {
        let (key, path) = self.annotations.get(&(self.index, word))?;
        match check(path) {
            Ok(path) => Some(path.to_owned()),
            Err(problem) => {
                self.errors.push(LabelError::Path {
                    key: (*key).to_owned(),
                    found: (*path).to_owned(),
                    problem,
                });
                None
            }
        }
    }

    fn containers(&mut self) -> Option<Vec<String>> {
        let (key, list) = self.annotations.get(&(self.index, "containers"))?;
        let mut names: Vec<_> = list.split(',').map(|name| name.trim().to_owned()).collect();
        if !names.iter().all(|name| is_dns_label(name)) {
            self.errors.push(LabelError::Containers {
                key: (*key).to_owned(),
                found: (*list).to_owned(),
            });
        }
        names.sort_unstable();
        names.dedup();
        Some(names)
    }

    fn readonly(&mut self) -> bool {
        match self.annotations.get(&(self.index, "readonly")) {
            None | Some((_, "false")) => false,
            Some((_, "true")) => true,
            Some((key, other)) => {
                self.errors.push(LabelError::Readonly {
                    key: (*key).to_owned(),
                    found: (*other).to_owned(),
                });
                false
            }
        }
    }
}
