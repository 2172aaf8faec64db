//! The same steps on two mounts of a bucket.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use dlf_tests::patience;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use tempfile::TempDir;

use super::bytes;
use super::rules::Answer;
use super::step::{Fault, How, Step};
use super::world::{Objects, number};
use crate::support::bucket::Bucket;
use crate::support::file::close;
use crate::support::http_proxy::{HttpProxy, NO_SPACE, Refusal};
use crate::support::mounter::Mount;
use crate::support::program::python;

/// What S3 says when it wants fewer requests.
const SLOW_DOWN: Refusal = Refusal {
    status: 503,
    code: "SlowDown",
};

/// As the tables of the document have it done.
const STORE: &str = include_str!("../semantics/store.py");

/// A step, the open file that it is about, and what it writes.
pub(crate) type Taken<'a> = (&'a Step, Option<usize>, &'a [u8]);

/// Beyond the largest file.
const TOO_FAR: u64 = 1 << 62;

/// How long a mount may take for what nobody waits for: as long as a source may be away.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);

/// The kernel's list of FUSE connections, which tells how many requests are not answered.
pub(crate) struct Connections {
    directory: TempDir,
}

impl Connections {
    pub(crate) fn mount() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount("none", directory.path(), "fusectl", flags, None).unwrap();
        Self { directory }
    }

    fn waiting(&self, device: u64) -> PathBuf {
        let minor = rustix::fs::minor(device);
        self.directory.path().join(format!("{minor}/waiting"))
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.directory.path(), UnmountFlags::DETACH);
    }
}

/// See the module.
pub(crate) struct Real<'a> {
    mounts: [Mount; 2],
    /// The mounts' requests that are not answered.
    waiting: [PathBuf; 2],
    bucket: &'a Bucket,
    proxy: &'a HttpProxy,
    files: Vec<File>,
    scale: usize,
}

impl<'a> Real<'a> {
    pub(crate) fn new(
        mounts: [Mount; 2],
        connections: &Connections,
        (bucket, proxy): (&'a Bucket, &'a HttpProxy),
        scale: usize,
    ) -> Self {
        let device = |mount: &Mount| fs::metadata(&mount.path).unwrap().dev();
        let waiting = |mount| connections.waiting(device(mount));
        Self {
            waiting: [waiting(&mounts[0]), waiting(&mounts[1])],
            mounts,
            bucket,
            proxy,
            files: Vec::new(),
            scale,
        }
    }

    pub(crate) fn open_files(&self) -> usize {
        self.files.len()
    }

    /// Takes two steps at once, neither of which opens or closes a file for good.
    pub(crate) fn both(&self, steps: [Taken<'_>; 2]) -> [Answer; 2] {
        let take = |(step, file, data): Taken<'_>| answer(self.look(step, file, data));
        let [one, other] = steps;
        thread::scope(|scope| {
            let other = scope.spawn(move || take(other));
            [take(one), other.join().unwrap()]
        })
    }

    /// Takes a step; `file` is the index of the open file that it is about.
    pub(crate) fn step(&mut self, step: &Step, file: Option<usize>, data: &[u8]) -> Answer {
        answer(self.try_step(step, file, data))
    }

    fn try_step(&mut self, step: &Step, file: Option<usize>, data: &[u8]) -> io::Result<Answer> {
        if let Step::While(fault, step) = step {
            return self.fail_while(*fault, step, file, data);
        }
        match (step, file) {
            (Step::Open(mount, key, how), _) => {
                let file = open(&self.mounts[*mount].join(key), *how)?;
                self.files.push(file);
                Ok(Answer::Done)
            }
            (Step::Close(_), Some(file)) => {
                close(self.files.remove(file))?;
                Ok(Answer::Done)
            }
            _ => self.look(step, file, data),
        }
    }

    /// Takes a step after which the same files are open.
    fn look(&self, step: &Step, file: Option<usize>, data: &[u8]) -> io::Result<Answer> {
        if let Some(file) = file {
            return self.on_file(step, file, data);
        }
        let path = |mount: &usize, name: &str| self.mounts[*mount].join(name);
        match step {
            Step::ReadPath(mount, key) => return Ok(self.bytes(&fs::read(path(mount, key))?)),
            Step::Stat(mount, key) => {
                let size = fs::symlink_metadata(path(mount, key))?.len();
                let size = usize::try_from(size).unwrap();
                if !size.is_multiple_of(self.scale) {
                    return Ok(Answer::Torn(format!("a size of {size}")));
                }
                return Ok(Answer::Size(size / self.scale));
            }
            Step::TruncatePath(mount, key, size) => {
                nix::unistd::truncate(&path(mount, key), self.offset(*size).cast_signed())?;
            }
            Step::Unlink(mount, key) => fs::remove_file(path(mount, key))?,
            Step::Rename(mount, from, to) | Step::RenameDirectory(mount, from, to) => {
                fs::rename(path(mount, from), path(mount, to))?;
            }
            Step::MakeDirectory(mount, name) => fs::create_dir(path(mount, name))?,
            Step::RemoveDirectory(mount, name) => fs::remove_dir(path(mount, name))?,
            Step::List(mount, name) => {
                let entries = fs::read_dir(path(mount, name))?;
                let name =
                    |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().into_string().unwrap());
                return Ok(Answer::Names(entries.map(name).collect::<io::Result<_>>()?));
            }
            Step::Put(key, length) => self.bucket.put(key, self.real(&data[..*length])),
            Step::Delete(key) => self.bucket.delete(key),
            Step::Settle => self.settle(),
            Step::Store(mount, key, at) => {
                return Ok(store(&self.mounts[*mount].path, key, *at, data[0]));
            }
            // About an open file, and none is.
            _ => {}
        }
        Ok(Answer::Done)
    }

    fn on_file(&self, step: &Step, index: usize, data: &[u8]) -> io::Result<Answer> {
        let mut file = &self.files[index];
        match step {
            Step::Write(_, at, length) => {
                file.write_all_at(&self.real(&data[..*length]), self.offset(*at))?;
            }
            Step::WriteTooFar(_) => file.write_all_at(&self.real(&data[..1]), TOO_FAR)?,
            Step::Truncate(_, size) => file.set_len(self.offset(*size))?,
            Step::Fsync(_) => file.sync_all()?,
            Step::CloseCopy(_) => close(file.try_clone()?)?,
            Step::Read(_) => {
                let mut body = Vec::new();
                file.rewind()?;
                file.read_to_end(&mut body)?;
                return Ok(self.bytes(&body));
            }
            other => panic!("{other:?} is not about an open file"),
        }
        Ok(Answer::Done)
    }

    /// Takes a step while the source fails, and waits for what follows from it.
    fn fail_while(
        &mut self,
        fault: Fault,
        step: &Step,
        file: Option<usize>,
        data: &[u8],
    ) -> io::Result<Answer> {
        self.settle();
        let proxy = self.proxy;
        let changes = |request: &crate::support::http_proxy::Head| {
            matches!(request.method(), "PUT" | "POST" | "DELETE")
        };
        match fault {
            Fault::Full => proxy.refuse(u32::MAX, NO_SPACE, changes),
            Fault::Busy => proxy.refuse(1, SLOW_DOWN, changes),
            Fault::Cut => proxy.cut_request(changes),
            Fault::Lost => proxy.cut_answer(changes),
        }
        let answer = self.try_step(step, file, data);
        self.settle();
        proxy.end_rules();
        answer
    }

    /// Waits until every request of the kernel is answered, those that no program waits for, too.
    pub(crate) fn settle(&self) {
        let deadline = Instant::now() + patience(SETTLED_WITHIN);
        while self.waiting.iter().any(|path| is_waiting(path)) {
            assert!(Instant::now() < deadline, "a request is not answered");
            // The kernel tells nobody when the number changes.
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// All objects, or what is wrong with the bytes of one.
    pub(crate) fn objects(&self) -> Result<Objects, String> {
        let mut objects = BTreeMap::new();
        for key in self.bucket.keys() {
            // One that has gone since then is none.
            let Some(body) = self.bucket.get(&key) else {
                continue;
            };
            let body =
                bytes::of_model(&body, self.scale).map_err(|what| format!("{key}: {what}"))?;
            objects.insert(key, body.into());
        }
        Ok(objects)
    }

    fn real(&self, data: &[u8]) -> Vec<u8> {
        bytes::of_mount(data, self.scale)
    }

    fn bytes(&self, body: &[u8]) -> Answer {
        bytes::of_model(body, self.scale).map_or_else(Answer::Torn, Answer::Bytes)
    }

    fn offset(&self, at: usize) -> u64 {
        (at * self.scale) as u64
    }
}

fn answer(result: io::Result<Answer>) -> Answer {
    result.unwrap_or_else(|error| Answer::Refused(error.raw_os_error().unwrap()))
}

/// A letter, since the program takes its bytes from an argument.
pub(crate) fn letter(byte: u8) -> u8 {
    b'a' + byte % 26
}

fn store(directory: &Path, key: &str, at: usize, byte: u8) -> Answer {
    let letter = char::from(letter(byte)).to_string();
    let output = python(directory, STORE, &[key, &at.to_string(), &letter]);
    match output.code {
        Some(0) => Answer::Done,
        Some(errno) if output.error.is_empty() => Answer::Refused(errno),
        // There is no page to map, or none where the byte is to be.
        Some(_) => Answer::Refused(number(Errno::INVAL)),
        None => Answer::Refused(number(Errno::FAULT)),
    }
}

fn is_waiting(path: &Path) -> bool {
    // A connection that has gone has no request.
    fs::read_to_string(path).is_ok_and(|count| count.trim() != "0")
}

fn open(path: &Path, how: How) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(how.write && !how.append)
        .append(how.append)
        .create(how.create && !how.exclusive)
        .create_new(how.exclusive)
        .truncate(how.truncate)
        .open(path)
}
