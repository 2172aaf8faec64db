//! Figures of a real mount over a real S3 server: sequential, random, and many small files.
//!
//! `cargo run -p dlf-mount --example bench [PROGRAM]`, as root, after `cargo build -p dlf-mount`;
//! PROGRAM is `native` (default) or `s3fs`. The server is found as by the tests. Each figure is
//! taken with the kernel's page cache dropped; the processor time is the child's. `READ_AHEAD_KB`
//! sets the kernel's read-ahead, as the node driver does after mounting.

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
use support::bucket::Bucket;
use support::mounter::{Mount, Mounter, dataset, with_volume};

const MIB: usize = 1024 * 1024;
const BIG_BYTES: usize = 512 * MIB;
const SMALL_FILES: usize = 1_000;
const SMALL_BYTES: usize = 64 * 1024;
const RANDOM_READS: usize = 300;
const RANDOM_BYTES: usize = 256 * 1024;

fn main() {
    let program = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "native".to_owned());
    let Some(server) = support::server("bench") else {
        return;
    };
    let bucket = Bucket::new(&server, "bench");
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
        let before = processor_time(child);
        sequential(&mount);
        let spent = processor_time(child).saturating_sub(before);
        println!("    in {:.2} s of processor time", spent.as_secs_f64());
        random(&mount);
        small(&mount);
    }
    write(&mount);
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
    println!("write of {} MiB: {rate}", body.len() / MIB);
}
