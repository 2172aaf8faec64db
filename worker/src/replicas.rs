//! Asking the replicas of a cache how they do.

use std::net::SocketAddr;
use std::time::Duration;

use dlf_core::network::AddressRules;
use dlf_core::plugin::{CACHE_STATS, CacheStats};
use dlf_core::shown;
use dlf_wire::nodes::v1::{Done, ReplicaAnswer, ReplicaStats};
use futures::stream::{self, StreamExt};
use reqwest::{Client, Response, StatusCode, Url, redirect};

/// A replica that takes longer to say how it does does badly.
const WITHIN: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes: a few numbers and a name.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Replicas that are asked at once.
const ASKED: usize = 8;
/// Longest name of a node: a DNS subdomain (Kubernetes, "Object Names and IDs").
const NODE_BYTES_MAX: usize = 253;
/// How much of an error is shown.
const SHOWN_BYTES_MAX: usize = 200;

/// Asks all of them. One that does not answer is no failure of the task: its answer says why.
pub async fn ask(urls: Vec<String>, rules: &AddressRules) -> Done {
    let asked = urls.into_iter().map(|url| async {
        let (stats, failure) = match one(&url, rules).await {
            Ok(stats) => (Some(stats), String::new()),
            Err(why) => (None, shown::line(&why, SHOWN_BYTES_MAX)),
        };
        ReplicaAnswer {
            url,
            stats,
            failure,
        }
    });
    Done {
        replicas: stream::iter(asked).buffered(ASKED).collect().await,
        ..Done::default()
    }
}

async fn one(url: &str, rules: &AddressRules) -> Result<ReplicaStats, String> {
    let late = || format!("no answer within {} s", WITHIN.as_secs());
    let stats = tokio::time::timeout(WITHIN, stats(url, rules));
    stats.await.unwrap_or_else(|_| Err(late()))
}

async fn stats(url: &str, rules: &AddressRules) -> Result<ReplicaStats, String> {
    let url: Url = url.parse().map_err(|error| format!("{error}"))?;
    let host = url.host_str().ok_or("it names no host")?.to_owned();
    let port = url.port_or_known_default().ok_or("it names no port")?;
    let addresses = resolve(&host, port, rules).await?;
    let client = Client::builder()
        .resolve_to_addrs(&host, &addresses)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| error.to_string())?;
    let answer = client.get(url).send().await.map_err(cause)?;
    if answer.status() != StatusCode::OK {
        return Err(format!("it answers {}", answer.status()));
    }
    let CacheStats {
        version,
        used_bytes,
        hit_bytes,
        miss_bytes,
        node,
    } = serde_json::from_slice(&body(answer).await?).map_err(|error| error.to_string())?;
    if version != CACHE_STATS {
        return Err(format!(
            "it answers version {version} of cache stats; {CACHE_STATS} is known here"
        ));
    }
    if node.len() > NODE_BYTES_MAX {
        return Err(format!(
            "it names a node by {} bytes; {NODE_BYTES_MAX} are the most",
            node.len()
        ));
    }
    Ok(ReplicaStats {
        version,
        used_bytes,
        hit_bytes,
        miss_bytes,
        node,
    })
}

/// Addresses of a host that may be dialled. An address in the URL is judged as one that a name leads to.
async fn resolve(host: &str, port: u16, rules: &AddressRules) -> Result<Vec<SocketAddr>, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((bare, port)).await;
    let found = found.map_err(|_| format!("{host} has no address"))?;
    let mut refusal = format!("{host} has no address");
    let mut allowed = Vec::new();
    for address in found {
        match rules.check(address) {
            Ok(()) => allowed.push(address),
            Err(why) => refusal = why.to_string(),
        }
    }
    if allowed.is_empty() {
        return Err(refusal);
    }
    Ok(allowed)
}

async fn body(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(cause)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(format!(
                "its answer is longer than {ANSWER_BYTES_MAX} bytes"
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What is behind an error, without the URL that stands before it.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
