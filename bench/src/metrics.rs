//! Counters of the operator, as Prometheus would read them.

use std::{collections::BTreeMap, net::IpAddr};

use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Outcome;

const PORT: u16 = 8080;
const REQUESTS: &str = "dlf_api_requests_total";
const WRITING: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// One scrape: samples by name with labels, as they stand in the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Asks one replica.
    pub(crate) async fn of(address: IpAddr) -> Outcome<Self> {
        let stream = TcpStream::connect((address, PORT)).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::get("/metrics")
            .header("host", address.to_string())
            .body(Empty::<Bytes>::new())?;
        let body = sender
            .send_request(request)
            .await?
            .into_body()
            .collect()
            .await?
            .to_bytes();
        let text = String::from_utf8(body.to_vec())?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Ok(Self(
            lines
                .filter_map(|line| line.rsplit_once(' '))
                .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
                .collect(),
        ))
    }

    /// Requests to the API server since an earlier scrape of the same replica.
    pub(crate) fn requests_since(&self, before: &Self) -> f64 {
        self.sum(REQUESTS, "") - before.sum(REQUESTS, "")
    }

    /// Requests to the API server so far, as `verb resource`.
    pub(crate) fn requests_by_kind(&self) -> impl Iterator<Item = (String, f64)> {
        self.0
            .iter()
            .filter(|(sample, _)| sample.starts_with(REQUESTS))
            .map(|(sample, count)| {
                let labels: Vec<_> = sample.split('"').skip(1).step_by(2).collect();
                (labels.join(" "), *count)
            })
    }

    /// Those of them that write.
    pub(crate) fn writes_since(&self, before: &Self) -> f64 {
        let writes = |scrape: &Self| -> f64 {
            WRITING
                .iter()
                .map(|verb| scrape.sum(REQUESTS, &format!("verb=\"{verb}\"")))
                .sum()
        };
        writes(self) - writes(before)
    }

    /// All samples of the metric `name` whose labels hold `part`, together.
    pub(crate) fn sum(&self, name: &str, part: &str) -> f64 {
        self.0
            .iter()
            .filter(|(sample, _)| sample.split('{').next() == Some(name) && sample.contains(part))
            .map(|(_, value)| value)
            .sum()
    }
}
