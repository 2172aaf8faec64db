//! Words of the column "Operations", and answers in words.

use std::io;
use std::path::Path;

use rustix::io::Errno;

#[allow(
    clippy::unnecessary_wraps,
    reason = "it is the answer of a step, which can fail"
)]
pub(crate) fn ok() -> io::Result<String> {
    Ok("ok".to_owned())
}

pub(crate) fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

pub(crate) fn text(word: &str) -> &str {
    word.trim_matches('"')
}

pub(crate) fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(bytes))
}

/// What is in a directory, in order.
pub(crate) fn list(path: &Path) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
        names.push(format!("{}{slash}", entry.file_name().to_string_lossy()));
    }
    Ok(joined(names))
}

/// What is read of a directory after its first name, by one who has read it to its end and goes
/// back there (seekdir(3)).
pub(crate) fn list_again(path: &Path) -> io::Result<String> {
    let mut directory = rustix::fs::Dir::new(rustix::fs::open(
        path,
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY,
        rustix::fs::Mode::empty(),
    )?)?;
    let mut behind_first = None;
    while let Some(entry) = directory.read().transpose()? {
        if behind_first.is_none() && !is_dot(&entry) {
            behind_first = Some(entry.offset());
        }
    }
    let mut names = Vec::new();
    if let Some(offset) = behind_first {
        directory.seek(offset)?;
        while let Some(entry) = directory.read().transpose()? {
            if !is_dot(&entry) {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    Ok(joined(names))
}

fn is_dot(entry: &rustix::fs::DirEntry) -> bool {
    matches!(entry.file_name().to_bytes(), b"." | b"..")
}

fn joined(mut names: Vec<String>) -> String {
    if names.is_empty() {
        return "(nothing)".to_owned();
    }
    names.sort();
    names.join(" ")
}

pub(crate) fn name_of(error: &io::Error) -> String {
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
        Some(Errno::FBIG) => "EFBIG",
        Some(Errno::INVAL) => "EINVAL",
        Some(Errno::XDEV) => "EXDEV",
        Some(Errno::NAMETOOLONG) => "ENAMETOOLONG",
        _ => return error.to_string(),
    };
    name.to_owned()
}
