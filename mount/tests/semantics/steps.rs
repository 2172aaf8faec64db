//! The language of the column "Operations": rows, open files, and what is done from outside.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;

use rustix::fs as sys;
use rustix::io::Errno;

use crate::paths;
use crate::support::bucket::Bucket;
use crate::support::file::close;
use crate::support::mounter::Mount;
use crate::words::{name_of, number, ok, quoted, text};

/// Runs the steps and gives the answer of the last, or of the first that fails and was not only
/// tried. Files that are still open are closed at the end, in the order of their letters.
pub(crate) fn run(steps: &str, mount: &Mount, bucket: &Bucket) -> String {
    let mut run = Run {
        mount,
        bucket,
        files: BTreeMap::new(),
    };
    let mut answer = String::new();
    for step in steps.split("; ") {
        let tried = step.strip_prefix("try ");
        match run.step(tried.unwrap_or(step)) {
            Ok(said) => answer = said,
            Err(error) => {
                answer = name_of(&error);
                if tried.is_none() {
                    break;
                }
            }
        }
    }
    for file in run.files.into_values() {
        // The answer is known, and what the close leaves in the bucket is looked at.
        let _ = close(file);
    }
    answer
}

struct Run<'a> {
    mount: &'a Mount,
    bucket: &'a Bucket,
    files: BTreeMap<String, File>,
}

impl Run<'_> {
    fn step(&mut self, step: &str) -> io::Result<String> {
        if let Some((file, open)) = step.split_once(" = ") {
            let opened = self.open(open)?;
            self.files.insert(file.to_owned(), opened);
            return ok();
        }
        let words: Vec<&str> = step.split(' ').collect();
        match words[..] {
            ["s3", ref words @ ..] => self.outside(words),
            [verb, file, ref rest @ ..] if self.files.contains_key(file) => {
                self.on_file(verb, file, rest)
            }
            [verb, ref rest @ ..] => paths::run(self.mount, verb, rest),
            [] => panic!("an empty step"),
        }
    }

    fn open(&self, words: &str) -> io::Result<File> {
        let (verb, name) = words.split_once(' ').expect("a verb and a name");
        let path = self.mount.join(name);
        let mut options = OpenOptions::new();
        match verb {
            "open" => options.read(true),
            "open-rw" => options.read(true).write(true),
            "open-append" => options.read(true).append(true),
            "create" => options.write(true).create(true).truncate(true),
            "create-new" => options.write(true).create_new(true),
            _ => panic!("unknown step {words}"),
        };
        options.open(path)
    }

    fn outside(&self, words: &[&str]) -> io::Result<String> {
        match words {
            ["put", key, body] => self.bucket.put(key, text(body).to_owned()),
            ["delete", key] => self.bucket.delete(key),
            ["get", key] => {
                let body = self.bucket.get(key).ok_or(io::Error::from(Errno::NOENT))?;
                return Ok(quoted(&body));
            }
            _ => panic!("unknown step s3 {words:?}"),
        }
        ok()
    }

    fn on_file(&mut self, verb: &str, name: &str, rest: &[&str]) -> io::Result<String> {
        let mut file = &self.files[name];
        match (verb, rest) {
            ("append", [body]) => file.write_all(text(body).as_bytes())?,
            ("pwrite", [at, body]) => {
                file.write_all_at(text(body).as_bytes(), number(at))?;
            }
            ("truncate", [size]) => file.set_len(number(size))?,
            ("allocate", [size]) => allocate(file, sys::FallocateFlags::empty(), 0, number(size))?,
            ("reserve", [size]) => allocate(file, sys::FallocateFlags::KEEP_SIZE, 0, number(size))?,
            ("punch", [at, length]) => {
                let hole = sys::FallocateFlags::PUNCH_HOLE | sys::FallocateFlags::KEEP_SIZE;
                allocate(file, hole, number(at), number(length))?;
            }
            ("zero", [at, length]) => {
                let zeros = sys::FallocateFlags::ZERO_RANGE;
                allocate(file, zeros, number(at), number(length))?;
            }
            ("fsync", []) => file.sync_all()?,
            ("read", []) => {
                let mut body = Vec::new();
                file.rewind()?;
                file.read_to_end(&mut body)?;
                return Ok(quoted(&body));
            }
            ("close", []) => close(self.files.remove(name).unwrap())?,
            _ => panic!("unknown step {verb} {name} {rest:?}"),
        }
        ok()
    }
}

fn allocate(file: &File, flags: sys::FallocateFlags, at: u64, length: u64) -> io::Result<()> {
    Ok(sys::fallocate(file, flags, at, length)?)
}
