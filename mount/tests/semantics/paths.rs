//! The language of the column "Operations": what is done by a path.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use rustix::fs as sys;

use crate::support::file::close;
use crate::support::mounter::Mount;
use crate::support::program::python;
use crate::words::{list, list_again, number, ok, quoted, text};

/// Stores bytes into a mapping of a file: PATH OFFSET BYTES. Ends with the error number that the
/// system gave, if it gave one.
const STORE: &str = include_str!("store.py");

/// Runs one step.
pub(crate) fn run(mount: &Mount, verb: &str, rest: &[&str]) -> io::Result<String> {
    let path = |name: &str| mount.join(name);
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
        ("list", []) => return list(&mount.path),
        ("list", [name]) => return list(&path(name)),
        ("list-again", []) => return list_again(&mount.path),
        ("list-again", [name]) => return list_again(&path(name)),
        ("write" | "write-new" | "append-to" | "overwrite", _) => {
            return write(mount, verb, rest);
        }
        ("mmap-write", [name, at, body]) => store(mount, name, at, text(body))?,
        ("truncate", [name, size]) => {
            let file = OpenOptions::new().write(true).open(path(name))?;
            file.set_len(number(size))?;
            close(file)?;
        }
        ("unlink", [name]) => fs::remove_file(path(name))?,
        ("mkdir", [name]) => fs::create_dir(path(name))?,
        ("rmdir", [name]) => fs::remove_dir(path(name))?,
        ("rename", [from, to]) => fs::rename(path(from), path(to))?,
        ("rename-new", [from, to]) => {
            rename(path(from), path(to), sys::RenameFlags::NOREPLACE)?;
        }
        ("exchange", [from, to]) => rename(path(from), path(to), sys::RenameFlags::EXCHANGE)?,
        _ => return other(mount, verb, rest),
    }
    ok()
}

fn other(mount: &Mount, verb: &str, rest: &[&str]) -> io::Result<String> {
    let path = |name: &str| mount.join(name);
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
            sys::statvfs(&mount.path)?;
        }
        _ => panic!("unknown step {verb} {rest:?}"),
    }
    ok()
}

fn write(mount: &Mount, verb: &str, rest: &[&str]) -> io::Result<String> {
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
    let mut file = options.open(mount.join(name))?;
    if verb == "append-to" {
        file.write_all(text(body).as_bytes())?;
    } else {
        file.write_all_at(text(body).as_bytes(), at)?;
    }
    close(file)?;
    ok()
}

fn store(mount: &Mount, name: &str, at: &str, body: &str) -> io::Result<()> {
    let output = python(&mount.path, STORE, &[name, at, body]);
    match output.code {
        Some(0) => Ok(()),
        Some(errno) if output.error.is_empty() => Err(io::Error::from_raw_os_error(errno)),
        code => panic!("python3 ended with {code:?}: {}", output.error),
    }
}

fn rename(from: PathBuf, to: PathBuf, flags: sys::RenameFlags) -> io::Result<()> {
    Ok(sys::renameat_with(sys::CWD, from, sys::CWD, to, flags)?)
}
