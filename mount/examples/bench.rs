//! Figures of a real mount over a real S3 server: sequential, random, and many small files; and
//! many readers beside many writers at a source with a rate and a delay.
//!
//! `cargo run -p dlf-mount --example bench [PROGRAM [PART...]]`, as root, after `cargo build -p
//! dlf-mount`; PROGRAM is `native` (default) or `s3fs`, PART `files` or `load`, both unless told.
//! The server is found as by the tests. Each figure is taken with the kernel's page cache dropped;
//! the processor time is the child's. `READ_AHEAD_KB` sets the kernel's read-ahead, as the node
//! driver does after mounting.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the benchmark"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use dlf_wire::dataset::v1::{FuseVolume, dataset_config};
use support::Server;
use support::bucket::Bucket;
use support::load::{Load, Outcome};
use support::mounter::{Mount, Mounter, dataset, with_volume};
use support::shaped::{Shape, Shaped};

const MIB: usize = 1024 * 1024;
const BIG_BYTES: usize = 512 * MIB;
const SMALL_FILES: usize = 1_000;
const SMALL_BYTES: usize = 64 * 1024;
const RANDOM_READS: usize = 300;
const RANDOM_BYTES: usize = 256 * 1024;

/// The load: so many readers that go on and that stop, and so many writers.
const MOVING: usize = 12;
const PAUSED: usize = 4;
const WRITERS: u64 = 64;
const LOAD_SECONDS: usize = 30;

/// Bytes per second of the source, and of each writer: what is asked of a mount, and a quarter of it,
/// which leaves two cores time that also run the server, the network and all readers and writers.
const LOADS: [(u32, usize); 2] = [(200_000_000, 1_000_000), (50_000_000, 250_000)];
const ROUND_TRIP: Duration = Duration::from_millis(30);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().unwrap_or_else(|| "native".to_owned());
    let parts: Vec<_> = arguments.collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|it| it == part);
    let Some(server) = support::server("bench") else {
        return;
    };
    if wanted("files") {
        files(&server, program);
    }
    if wanted("load") {
        for (source, writer) in LOADS {
            load(&server, source, writer);
        }
    }
}

/// One reader or writer at a time.
fn files(server: &Server, program: String) {
    let bucket = Bucket::new(server, "bench");
    bucket.put("big", noise(BIG_BYTES));
    for n in 0..SMALL_FILES {
        bucket.put(&format!("small/{n:04}"), noise(SMALL_BYTES));
    }
    let Some(dataset_config::Volume::Fuse(volume)) = dataset(bucket.origin()).volume else {
        return;
    };
    let volume = FuseVolume {
        program,
        revalidate_ms: Some(60_000),
        ..volume
    };
    let mut mounter = Mounter::start();
    let mount = mounter.mount("bench", &with_volume(volume), None);
    if let Ok(kib) = std::env::var("READ_AHEAD_KB") {
        mount.set_read_ahead(&kib);
    }
    let child = mounter.pid_of("bench");
    for run in 1..=3 {
        println!("run {run}");
        let timed = |what: fn(&Mount)| {
            let before = processor_time(child);
            what(&mount);
            let spent = processor_time(child).saturating_sub(before);
            println!("    in {:.2} s of processor time", spent.as_secs_f64());
        };
        timed(sequential);
        timed(random);
        timed(small);
        timed(write);
    }
}

/// Bytes that no layer compresses.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// User and system time of a process (proc(5), `stat`), in clock ticks of 10 ms.
fn processor_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The second field is a name in brackets, which may hold anything.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}

fn drop_page_cache() {
    // Without it the figures are of memory, and say so by their size.
    let _ = fs::write("/proc/sys/vm/drop_caches", "1");
}

fn rate(bytes: usize, time: Duration) -> String {
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let rate = bytes as f64 / 1e6 / time.as_secs_f64();
    format!("{rate:.0} MB/s")
}

fn sequential(mount: &Mount) {
    drop_page_cache();
    let began = Instant::now();
    let mut file = File::open(mount.join("big")).expect("the big file is there");
    let mut buffer = vec![0; MIB];
    let mut total = 0;
    loop {
        match file.read(&mut buffer).expect("it can be read") {
            0 => break,
            count => total += count,
        }
    }
    let rate = rate(total, began.elapsed());
    println!(
        "  sequential, {} MiB in pieces of 1 MiB: {rate}",
        total / MIB
    );
}

fn random(mount: &Mount) {
    drop_page_cache();
    let file = File::open(mount.join("big")).expect("the big file is there");
    let mut buffer = vec![0; RANDOM_BYTES];
    let mut state = 42_u64;
    let mut times: Vec<Duration> = (0..RANDOM_READS)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let limit = (BIG_BYTES - RANDOM_BYTES) as u64;
            let began = Instant::now();
            file.read_exact_at(&mut buffer, (state >> 16) % limit)
                .expect("it can be read");
            began.elapsed()
        })
        .collect();
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "  random pread of 256 KiB: p50 {:.1?}, p99 {:.1?}",
        at(50),
        at(99)
    );
}

fn small(mount: &Mount) {
    drop_page_cache();
    let began = Instant::now();
    let mut total = 0;
    for entry in fs::read_dir(mount.join("small")).expect("the directory is there") {
        let path = entry.expect("it can be listed").path();
        total += fs::read(path).expect("it can be read").len();
    }
    let time = began.elapsed();
    println!(
        "  {SMALL_FILES} files of 64 KiB: {time:.2?}, {}",
        rate(total, time)
    );
}

fn write(mount: &Mount) {
    let body = noise(BIG_BYTES / 2);
    let began = Instant::now();
    fs::write(mount.join("written"), &body).expect("it can be written");
    let rate = rate(body.len(), began.elapsed());
    println!("  write of {} MiB: {rate}", body.len() / MIB);
}

/// Readers alone, and beside writers.
fn load(server: &Server, source: u32, writer: usize) {
    let bucket = Bucket::new(server, "load");
    bucket.put("piece", noise(16 * MIB));
    let names = |what: &str, count| (0..count).map(|n| format!("{what}{n}")).collect::<Vec<_>>();
    let (moving, paused) = (names("moving", MOVING), names("paused", PAUSED));
    for name in moving.iter().chain(&paused) {
        bucket.repeat(name, "piece", 16);
    }
    let shape = Shape {
        bytes_per_second: source,
        round_trip: ROUND_TRIP,
    };
    let shaped = Shaped::start(server.endpoint.trim_start_matches("http://"), shape);
    let mut origin = bucket.origin();
    origin.endpoint = shaped.endpoint();
    let mut mounter = Mounter::start();
    let mount = mounter.mount("load", &dataset(origin), None);
    let child = mounter.pid_of("load");
    let alone = Load {
        mount: &mount.path,
        moving,
        paused,
        writers: 0,
        bytes_per_second: writer,
        seconds: LOAD_SECONDS,
        at_least: Duration::from_secs(LOAD_SECONDS as u64),
    };
    println!(
        "{MOVING} readers that go on and {PAUSED} that stop, at {} MB/s and {} ms",
        source / 1_000_000,
        ROUND_TRIP.as_millis()
    );
    let first = alone.run(child);
    show("alone", &first);
    let both = Load {
        writers: WRITERS,
        ..alone
    };
    let beside = both.run(child);
    show(
        &format!("beside {WRITERS} writers of {} kB/s", writer / 1_000),
        &beside,
    );
    let part = beside.read_per_second / first.read_per_second;
    println!("  {part:.2} of what they have alone");
}

fn show(what: &str, outcome: &Outcome) {
    let (failed, memory) = (outcome.failed.len(), outcome.memory >> 20);
    let rate = outcome.read_per_second / 1e6;
    println!("  {what}: {rate:.0} MB/s, {failed} failed, {memory} MiB of memory at most");
    outcome
        .failed
        .iter()
        .take(1)
        .for_each(|error| println!("    {error}"));
}
