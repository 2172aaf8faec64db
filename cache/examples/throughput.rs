//! Sequential reads through the client: MB/s, and CPU seconds of this process per GB.
//!
//! ```text
//! S3_ENDPOINT=http://… S3_KEY=… S3_SECRET=… [S3_BUCKET=…] cargo run --release -p dlf-cache --example throughput \
//!     [MiB of the object, 512] [KiB per request, 8192] [rounds, 3] [threads, 2]
//! ```

use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use dlf_cache::{ClientOptions, Keys, ObjectStore, Origin, PutCondition};

const MIB: u64 = 1024 * 1024;
const KEY: &str = "throughput";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let number = |at: usize, default: u64| match std::env::args().nth(at) {
        Some(text) => text.parse::<u64>(),
        None => Ok(default),
    };
    let (size, request) = (number(1, 512)? * MIB, number(2, 8192)? * 1024);
    let (rounds, threads) = (number(3, 3)?, usize::try_from(number(4, 2)?)?);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(threads)
        .enable_all()
        .build()?
        .block_on(run(size, request, rounds))
}

async fn run(size: u64, request: u64, rounds: u64) -> Outcome<()> {
    let keys = Keys {
        access_key_id: std::env::var("S3_KEY")?,
        secret_access_key: std::env::var("S3_SECRET")?,
        session_token: None,
    };
    let origin = Origin {
        endpoint: std::env::var("S3_ENDPOINT")?.parse()?,
        bucket: std::env::var("S3_BUCKET").unwrap_or_else(|_| "dlf-bench".to_owned()),
        prefix: String::new(),
        region: String::new(),
        keys: Some(keys),
        ca_pem: std::env::var("S3_CA_FILE")
            .map(std::fs::read_to_string)
            .ok()
            .transpose()?,
        shards: None,
    };
    let store = ObjectStore::new(vec![origin], ClientOptions::default())?;
    let made = !store.bucket_exists().await?;
    if made {
        store.create_bucket().await?;
    }
    write(&store, size).await?;
    for round in 1..=rounds {
        let (began, cpu) = (Instant::now(), cpu_seconds()?);
        let chunks = read(&store, size, request).await?;
        let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
        report(
            &format!("read {round}, {} KiB per chunk", size / chunks / 1024),
            size,
            seconds,
            cpu,
        );
    }
    store.delete(KEY).await?;
    if made {
        store.delete_bucket().await?;
    }
    Ok(())
}

/// Prints one line.
fn report(what: &str, bytes: u64, seconds: f64, cpu: f64) {
    #[allow(clippy::cast_precision_loss)] // A figure for people.
    let megabytes = bytes as f64 / 1e6;
    let rate = megabytes / seconds;
    println!(
        "{what}: {rate:.0} MB/s, {:.2} CPU s/GB",
        cpu / megabytes * 1e3
    );
}

/// Writes the object in parts of 16 MiB.
async fn write(store: &ObjectStore, size: u64) -> Outcome<()> {
    let part = Bytes::from(vec![0x5a_u8; usize::try_from(16 * MIB)?]);
    let (began, cpu) = (Instant::now(), cpu_seconds()?);
    if size <= 16 * MIB {
        store
            .put(
                KEY,
                part.slice(..usize::try_from(size)?),
                PutCondition::None,
            )
            .await?;
    } else {
        let upload = store.start_multipart(KEY).await?;
        let mut parts = Vec::new();
        let mut left = size;
        while left > 0 {
            let length = left.min(16 * MIB);
            let number = u16::try_from(parts.len() + 1)?;
            let piece = part.slice(..usize::try_from(length)?);
            parts.push(store.upload_part(&upload, number, piece).await?);
            left -= length;
        }
        store.complete(&upload, &parts, PutCondition::None).await?;
    }
    report(
        "write",
        size,
        began.elapsed().as_secs_f64(),
        cpu_seconds()? - cpu,
    );
    Ok(())
}

/// Reads the object request by request and gives the number of chunks it came in.
async fn read(store: &ObjectStore, size: u64, request: u64) -> Outcome<u64> {
    let etag = store.head(KEY).await?.etag;
    let (mut position, mut chunks) = (0, 0);
    while position < size {
        let range = position..size.min(position + request);
        let mut body = store.get_range(KEY, range, Some(&etag)).await?;
        while let Some(chunk) = body.next_chunk().await {
            position += chunk?.len() as u64;
            chunks += 1;
        }
    }
    Ok(chunks)
}

/// CPU time of this process, user and system.
fn cpu_seconds() -> Outcome<f64> {
    /// `USER_HZ`, 100 on every architecture that Linux runs containers on.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The fields behind the program's name, which may hold spaces: user and system are 14 and 15.
    let fields = stat
        .rsplit_once(')')
        .map(|(_, fields)| fields)
        .unwrap_or_default();
    let ticks: Vec<f64> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .flat_map(str::parse)
        .collect();
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}
