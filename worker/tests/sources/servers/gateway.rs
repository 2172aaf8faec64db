//! A gateway before the real server that lacks what some stores lack.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request line that has these two words gets the answer, not the server's.
pub(crate) type Instead = (&'static str, &'static str, &'static str);

/// What small stores say to a request that they have never heard of.
pub(crate) const NOT_IMPLEMENTED: &str = "HTTP/1.1 501 Not Implemented\r\ncontent-length: 44\r\n\r\n\
    <Error><Code>NotImplemented</Code></Error>\r\n";

/// What stores say that overlook what a request is about, and make the bucket once more.
pub(crate) const MADE_AGAIN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// What such stores say that list the bucket.
pub(crate) const LISTED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n<ListBucketResult/>";

/// Passes on to `server` what `instead` does not answer; gives the gateway's endpoint.
pub(crate) async fn gateway(server: &str, instead: &'static [Instead]) -> String {
    let server = server.split_once("://").unwrap().1.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let upstream = TcpStream::connect(&server).await.unwrap();
            // A broken connection is the client's to notice.
            tokio::spawn(async move { drop(pass(client, upstream, instead).await) });
        }
    });
    endpoint
}

/// The client sends a request's head in one piece, and only after the answer before has ended.
async fn pass(client: TcpStream, upstream: TcpStream, instead: &[Instead]) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = upstream.into_split();
    let mut piece = vec![0; 64 * 1024];
    let mut answer = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            read = from_client.read(&mut piece) => {
                let bytes = &piece[..read?];
                let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
                let line = String::from_utf8_lossy(line);
                if bytes.is_empty() {
                    return Ok(());
                }
                let fits = |(one, other, _): &&Instead| line.contains(one) && line.contains(other);
                if let Some((_, _, answer)) = instead.iter().find(fits) {
                    to_client.write_all(answer.as_bytes()).await?;
                } else {
                    to_server.write_all(bytes).await?;
                }
            }
            read = from_server.read(&mut answer) => match read? {
                0 => return Ok(()),
                length => to_client.write_all(&answer[..length]).await?,
            },
        }
    }
}
