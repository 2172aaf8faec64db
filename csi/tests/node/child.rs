//! A mounter's child: this test program again, which serves a tiny file system.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, Request, Session, SessionACL,
};

const TEXT: &str = "DLF_TEST_CHILD_TEXT";
const CLOSES: &str = "DLF_TEST_CHILD_CLOSES";

/// Starts a child that shows `text` in the file `whoami`, at the top and in the directory `sub`. At
/// each close of a file it writes which thread that is into `closes/thread`, and goes on once it can
/// read `closes/go`.
pub(crate) fn spawn(device: OwnedFd, text: &str, closes: Option<&Path>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    if let Some(closes) = closes {
        command.env(CLOSES, closes);
    }
    command
        .args(["--exact", "child::serves_when_it_is_a_child"])
        .env(TEXT, text)
        .stdin(Stdio::from(File::from(device)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn serves_when_it_is_a_child() {
    let Ok(text) = std::env::var(TEXT) else {
        return;
    };
    let device = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let closes = std::env::var_os(CLOSES).map(PathBuf::from);
    let files = Files { text, closes };
    let session = Session::from_fd(files, device, SessionACL::All, Config::default()).unwrap();
    session.run().unwrap();
}

struct Files {
    text: String,
    closes: Option<PathBuf>,
}

const ROOT: u64 = 1;
const SUB: u64 = 2;
const WHOAMI: u64 = 3;

/// Nothing is cached, so that every access asks.
const TTL: Duration = Duration::ZERO;

impl Files {
    fn attributes(&self, inode: u64) -> FileAttr {
        let directory = inode != WHOAMI;
        FileAttr {
            ino: INodeNo(inode),
            size: if directory { 0 } else { self.text.len() as u64 },
            blocks: 1,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if directory {
                FileType::Directory
            } else {
                FileType::RegularFile
            },
            perm: 0o777,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 512,
        }
    }
}

impl Filesystem for Files {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let inode = match (u64::from(parent), name.to_str()) {
            (ROOT, Some("sub")) => SUB,
            (ROOT | SUB, Some("whoami")) => WHOAMI,
            _ => return reply.error(Errno::ENOENT),
        };
        reply.entry(&TTL, &self.attributes(inode), Generation(0));
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attributes(inode.into()));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        _: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let offset = usize::try_from(offset).unwrap();
        reply.data(self.text.as_bytes().get(offset..).unwrap_or_default());
    }

    fn flush(&self, request: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        let Some(closes) = &self.closes else {
            // The kernel does not ask again.
            return reply.error(Errno::ENOSYS);
        };
        let draft = closes.join("draft");
        std::fs::write(&draft, request.pid().to_string()).unwrap();
        std::fs::rename(draft, closes.join("thread")).unwrap();
        std::fs::read(closes.join("go")).unwrap();
        reply.ok();
    }
}
