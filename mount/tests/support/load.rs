//! Many readers and writers of one mount at once: some readers stop on their way, as programs do
//! that think about what they have read, and writers write no faster than what they write comes
//! about.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};

use super::bytes::{MIB, bytes};
use super::file::close;

/// What makes a reader a stream with a large window.
const PAUSE_AFTER: usize = 18 * MIB;

/// How often it is looked how much memory there is in use.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Who is on a mount.
pub struct Load<'a> {
    pub mount: &'a Path,
    /// A file for each reader that goes on.
    pub moving: Vec<String>,
    /// And for each that stops.
    pub paused: Vec<String>,
    /// Each writes a file for so many seconds, so many bytes in each.
    pub writers: u64,
    pub bytes_per_second: usize,
    pub seconds: usize,
    /// Readers go on for so long, and until the last writer has ended.
    pub at_least: Duration,
}

/// What came of it.
pub struct Outcome {
    pub failed: Vec<String>,
    /// Bytes that those readers had that go on, for each second.
    pub read_per_second: f64,
    /// Most anonymous memory of the process that serves the mount, in bytes.
    pub memory: u64,
}

impl Load<'_> {
    /// Lets all of them go, with `server` the process that serves the mount.
    pub fn run(&self, server: u32) -> Outcome {
        let (over, read, memory) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        let began = Instant::now();
        let failed = thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    memory.fetch_max(anonymous(server), Ordering::AcqRel);
                    thread::sleep(LOOK_EVERY);
                }
            });
            let paused = self.paused.iter().map(|name| {
                let path = self.mount.join(name);
                let over = &over;
                scope.spawn(move || pause(&path, over))
            });
            let moving = self.moving.iter().map(|name| {
                let path = self.mount.join(name);
                let (over, read) = (&over, &read);
                scope.spawn(move || read_on(&path, over, read))
            });
            let readers: Vec<_> = paused.chain(moving).collect();
            let writers = (0..self.writers).map(|seed| {
                let path = self.mount.join(written(seed));
                let content = content(seed, self.bytes_per_second, self.seconds);
                scope.spawn(move || write(&path, &content, self.bytes_per_second))
            });
            let writers: Vec<_> = writers.collect();
            let wrote: Vec<_> = writers.into_iter().map(|it| it.join().unwrap()).collect();
            thread::sleep(self.at_least.saturating_sub(began.elapsed()));
            over.store(true, Ordering::Release);
            let have_read = readers.into_iter().map(|reader| reader.join().unwrap());
            let ended = wrote.into_iter().chain(have_read);
            ended.filter_map(Result::err).collect::<Vec<_>>()
        });
        #[allow(clippy::cast_precision_loss, reason = "for people")]
        let read = read.into_inner() as f64;
        Outcome {
            failed: failed.iter().map(ToString::to_string).collect(),
            read_per_second: read / began.elapsed().as_secs_f64(),
            memory: memory.into_inner(),
        }
    }
}

/// Name of the file that a writer writes.
pub fn written(seed: u64) -> String {
    format!("w{seed}")
}

/// What it holds.
pub fn content(seed: u64, bytes_per_second: usize, seconds: usize) -> Vec<u8> {
    bytes(seed + 1, bytes_per_second).repeat(seconds)
}

fn write(path: &Path, content: &[u8], bytes_per_second: usize) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut next = Instant::now();
    for piece in content.chunks(bytes_per_second) {
        file.write_all(piece)?;
        next += Duration::from_secs(1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    close(file)
}

/// Reads a file again and again, each time from the source.
fn read_on(path: &Path, over: &AtomicBool, read: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; MIB];
    while !over.load(Ordering::Acquire) {
        let mut file = File::open(path)?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
        while let count @ 1.. = file.read(&mut buffer)? {
            read.fetch_add(count as u64, Ordering::AcqRel);
            if over.load(Ordering::Acquire) {
                break;
            }
        }
    }
    Ok(())
}

/// Reads a part of a file, and the next byte when all is over.
fn pause(path: &Path, over: &AtomicBool) -> io::Result<()> {
    let mut file = File::open(path)?;
    fadvise(&file, 0, None, Advice::DontNeed)?;
    let mut start = vec![0; PAUSE_AFTER];
    file.read_exact(&mut start)?;
    while !over.load(Ordering::Acquire) {
        thread::sleep(LOOK_EVERY);
    }
    file.read_exact(&mut [0])
}

/// Anonymous memory of a process, in bytes (proc(5), `status`); 0 once it has ended.
pub fn anonymous(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
