//! The language of the column "Operations".

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};

use rustix::fs as sys;
use rustix::io::Errno;

use crate::support::bucket::Bucket;
use crate::support::mounter::Mount;

/// Runs the steps and gives the answer of the last, or of the first that fails. Files that are
/// still open are closed at the end.
pub(crate) fn run(steps: &str, mount: &Mount, bucket: &Bucket) -> String {
    let mut run = Run {
        mount,
        bucket,
        files: HashMap::new(),
    };
    let steps: Vec<&str> = steps.split("; ").collect();
    let mut answer = String::new();
    for step in &steps {
        answer = match run.step(step) {
            Ok(answer) => answer,
            Err(error) => {
                answer = name_of(&error);
                break;
            }
        };
    }
    run.close_all();
    answer
}

struct Run<'a> {
    mount: &'a Mount,
    bucket: &'a Bucket,
    files: HashMap<String, File>,
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
            [verb, ref rest @ ..] => self.on_path(verb, rest),
            [] => panic!("an empty step"),
        }
    }

    fn open(&self, words: &str) -> io::Result<File> {
        let (verb, name) = words.split_once(' ').expect("a verb and a name");
        let path = self.mount.join(name);
        match verb {
            "open" => File::open(path),
            "open-rw" => OpenOptions::new().read(true).write(true).open(path),
            "create" => File::create(path),
            _ => panic!("unknown step {words}"),
        }
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
            ("allocate", [size]) => {
                sys::fallocate(file, sys::FallocateFlags::empty(), 0, number(size))?;
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

    fn on_path(&self, verb: &str, rest: &[&str]) -> io::Result<String> {
        let path = |name: &str| self.mount.join(name);
        match (verb, rest) {
            ("read", [name]) => return Ok(quoted(&fs::read(path(name))?)),
            ("read", [name, at, length]) => {
                let mut body = Vec::new();
                let mut file = File::open(path(name))?;
                file.seek(io::SeekFrom::Start(number(at)))?;
                file.take(number(length)).read_to_end(&mut body)?;
                return Ok(quoted(&body));
            }
            ("stat", [name]) => {
                let metadata = fs::symlink_metadata(path(name))?;
                return Ok(if metadata.is_dir() {
                    "directory".to_owned()
                } else {
                    format!("file {}", metadata.len())
                });
            }
            ("mode", [name]) => {
                let metadata = fs::symlink_metadata(path(name))?;
                let mode = metadata.mode() & 0o7777;
                return Ok(format!("{mode:o} {} {}", metadata.uid(), metadata.gid()));
            }
            ("list", []) => return list(&self.mount.path),
            ("list", [name]) => return list(&path(name)),
            ("write" | "write-new" | "append-to" | "overwrite", _) => {
                return self.write(verb, rest);
            }
            ("truncate", [name, size]) => {
                let file = OpenOptions::new().write(true).open(path(name))?;
                file.set_len(number(size))?;
            }
            ("unlink", [name]) => fs::remove_file(path(name))?,
            ("mkdir", [name]) => fs::create_dir(path(name))?,
            ("rmdir", [name]) => fs::remove_dir(path(name))?,
            ("rename", [from, to]) => fs::rename(path(from), path(to))?,
            ("rename-new", [from, to]) => self.rename(from, to, sys::RenameFlags::NOREPLACE)?,
            ("exchange", [from, to]) => self.rename(from, to, sys::RenameFlags::EXCHANGE)?,
            _ => return self.other(verb, rest),
        }
        ok()
    }

    fn other(&self, verb: &str, rest: &[&str]) -> io::Result<String> {
        let path = |name: &str| self.mount.join(name);
        match (verb, rest) {
            ("chmod", [name, mode]) => {
                let mode = sys::Mode::from_raw_mode(u32::from_str_radix(mode, 8).unwrap());
                sys::chmod(path(name), mode)?;
            }
            ("chown", [name, uid, gid]) => {
                std::os::unix::fs::chown(path(name), uid.parse().ok(), gid.parse().ok())?;
            }
            ("touch", [name]) => {
                File::open(path(name))?.set_modified(std::time::SystemTime::UNIX_EPOCH)?;
            }
            ("symlink", [target, name]) => std::os::unix::fs::symlink(target, path(name))?,
            ("link", [from, to]) => fs::hard_link(path(from), path(to))?,
            ("fifo", [name]) => {
                let mode = sys::Mode::RUSR;
                sys::mknodat(sys::CWD, path(name), sys::FileType::Fifo, mode, 0)?;
            }
            ("getxattr", [name, attribute]) => {
                sys::getxattr(path(name), *attribute, &mut [0_u8; 16][..])?;
            }
            ("setxattr", [name, attribute]) => {
                sys::setxattr(path(name), *attribute, b"1", sys::XattrFlags::empty())?;
            }
            ("lock", [name]) => File::open(path(name))?.lock()?,
            ("statfs", []) => {
                sys::statvfs(&self.mount.path)?;
            }
            _ => panic!("unknown step {verb} {rest:?}"),
        }
        ok()
    }

    fn write(&self, verb: &str, rest: &[&str]) -> io::Result<String> {
        let mut options = OpenOptions::new();
        options.write(true).mode(0o644);
        let (name, at, body) = match (verb, rest) {
            ("write", [name, body]) => {
                options.create(true).truncate(true);
                (name, 0, body)
            }
            ("write-new", [name, body]) => {
                options.create_new(true);
                (name, 0, body)
            }
            ("append-to", [name, body]) => {
                options.append(true);
                (name, 0, body)
            }
            ("overwrite", [name, at, body]) => (name, number(at), body),
            _ => panic!("unknown step {verb} {rest:?}"),
        };
        let mut file = options.open(self.mount.join(name))?;
        if verb == "append-to" {
            file.write_all(text(body).as_bytes())?;
        } else {
            file.write_all_at(text(body).as_bytes(), at)?;
        }
        close(file)?;
        ok()
    }

    fn rename(&self, from: &str, to: &str, flags: sys::RenameFlags) -> io::Result<()> {
        let (from, to) = (self.mount.join(from), self.mount.join(to));
        Ok(sys::renameat_with(sys::CWD, from, sys::CWD, to, flags)?)
    }

    /// The upload of an empty file begins when the last descriptor is closed, and close(2) does not
    /// wait for it: syncing before makes the row's end certain.
    fn close_all(&mut self) {
        for (_, file) in self.files.drain() {
            let _ = file.sync_all();
        }
    }
}

/// Closes a file. An empty one is synced first, for the reason given above.
fn close(file: File) -> io::Result<()> {
    if file.metadata()?.len() == 0 {
        file.sync_all()?;
    }
    drop(file);
    Ok(())
}

fn list(path: &std::path::Path) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
        names.push(format!("{}{slash}", entry.file_name().to_string_lossy()));
    }
    names.sort();
    if names.is_empty() {
        return Ok("(nothing)".to_owned());
    }
    Ok(names.join(" "))
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "it is the answer of a step, which can fail"
)]
fn ok() -> io::Result<String> {
    Ok("ok".to_owned())
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn text(word: &str) -> &str {
    word.trim_matches('"')
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(bytes))
}

fn name_of(error: &io::Error) -> String {
    let name = match Errno::from_io_error(error) {
        Some(Errno::NOENT) => "ENOENT",
        Some(Errno::EXIST) => "EEXIST",
        Some(Errno::ISDIR) => "EISDIR",
        Some(Errno::NOTDIR) => "ENOTDIR",
        Some(Errno::NOTEMPTY) => "ENOTEMPTY",
        Some(Errno::OPNOTSUPP) => "EOPNOTSUPP",
        Some(Errno::ROFS) => "EROFS",
        Some(Errno::STALE) => "ESTALE",
        Some(Errno::PERM) => "EPERM",
        Some(Errno::BUSY) => "EBUSY",
        Some(Errno::INVAL) => "EINVAL",
        Some(Errno::NAMETOOLONG) => "ENAMETOOLONG",
        _ => return error.to_string(),
    };
    name.to_owned()
}
