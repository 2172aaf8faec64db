//! One connection.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Fault;
use crate::support::server;

/// Serves one connection as the fault wants it.
pub(super) async fn serve(mut client: TcpStream, fault: Option<Fault>) -> std::io::Result<()> {
    match fault {
        Some(Fault::Reset) => return Ok(()),
        Some(Fault::BlackHole) => return swallow(&mut client).await,
        Some(Fault::Answer(answer)) => {
            let mut request = vec![0; 64 * 1024];
            let _ = client.read(&mut request).await?;
            client.write_all(answer.as_bytes()).await?;
            return client.shutdown().await;
        }
        Some(Fault::AnswerAndHang(answer)) => {
            let mut request = vec![0; 64 * 1024];
            let _ = client.read(&mut request).await?;
            client.write_all(answer.as_bytes()).await?;
            return swallow(&mut client).await;
        }
        Some(Fault::Spaces(head, count, rest)) => {
            let mut request = vec![0; 64 * 1024];
            let _ = client.read(&mut request).await?;
            client.write_all(head.as_bytes()).await?;
            for _ in 0..count {
                client.write_u8(b' ').await?;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            client.write_all(rest.as_bytes()).await?;
            return client.shutdown().await;
        }
        Some(Fault::Sip(pieces)) => return sip(&mut client, &pieces).await,
        Some(
            Fault::CutAfter(_)
            | Fault::TrickleAfter(_)
            | Fault::StallAfter(_)
            | Fault::AnswerTo(..)
            | Fault::Hold(_),
        )
        | None => {}
    }
    match pass(&mut client, fault.as_ref()).await? {
        Some(last) => {
            client.write_all(last.as_bytes()).await?;
            client.shutdown().await
        }
        None => Ok(()),
    }
}

/// Passes requests and answers on, but for the fault; gives what is to be the last answer.
async fn pass<'a>(
    client: &mut TcpStream,
    fault: Option<&'a Fault>,
) -> std::io::Result<Option<&'a str>> {
    let upstream = TcpStream::connect(server()).await?;
    let (mut from_client, mut to_client) = client.split();
    let (from_server, mut to_server) = upstream.into_split();
    let budget = match fault {
        Some(Fault::CutAfter(bytes) | Fault::StallAfter(bytes)) => *bytes as u64,
        _ => u64::MAX,
    };
    let answers = async {
        if let Some(Fault::TrickleAfter(bytes)) = fault {
            trickle(from_server, &mut to_client, *bytes).await?;
            return Ok(None);
        }
        if budget == 0 {
            // The answer is lost, but there was one: the server has done its work.
            from_server.readable().await?;
            return Ok(None);
        }
        tokio::io::copy(&mut from_server.take(budget), &mut to_client).await?;
        if let Some(Fault::StallAfter(_)) = fault {
            std::future::pending::<()>().await;
        }
        Ok(None)
    };
    let requests = async {
        match fault {
            Some(Fault::AnswerTo(method, answer)) => {
                until(method, &mut from_client, &mut to_server).await?;
                return Ok(Some(answer.as_str()));
            }
            Some(Fault::Hold(hold)) => {
                let beginning = until(hold.method, &mut from_client, &mut to_server).await?;
                hold.reached.notify_one();
                hold.ended.notified().await;
                to_server.write_all(&beginning).await?;
            }
            _ => {}
        }
        tokio::io::copy(&mut from_client, &mut to_server).await?;
        Ok(None)
    };
    tokio::select! {
        done = answers => done,
        done = requests => done,
    }
}

/// Passes requests on until one of `method`, and gives the beginning of that. Each begins with a
/// packet of its own, since the client has heard the answer to the one before.
async fn until(
    method: &str,
    from_client: &mut (impl AsyncRead + Unpin),
    to_server: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<Vec<u8>> {
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = from_client.read(&mut piece).await?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if piece[..length].starts_with(method.as_bytes()) {
            piece.truncate(length);
            return Ok(piece);
        }
        to_server.write_all(&piece[..length]).await?;
    }
}

/// Reads and answers nothing.
async fn swallow(client: &mut TcpStream) -> std::io::Result<()> {
    let mut void = [0; 4096];
    while client.read(&mut void).await? > 0 {}
    Ok(())
}

/// Takes a request slowly, then answers.
async fn sip(client: &mut TcpStream, answer: &[String]) -> std::io::Result<()> {
    let mut piece = vec![0; 256 * 1024];
    let mut left = None;
    while left != Some(0) {
        let length = client.read(&mut piece).await?;
        let taken = match left {
            Some(left) => left - length,
            None => body_length(&piece[..length]),
        };
        left = Some(taken);
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
    for piece in answer {
        client.write_all(piece.as_bytes()).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// How much of a request is still to come, of which this is the beginning.
fn body_length(beginning: &[u8]) -> usize {
    let text = String::from_utf8_lossy(beginning);
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let whole = head.len() + 4 + length.unwrap().parse::<usize>().unwrap();
    whole - beginning.len()
}

/// Passes what the server says on, after a while byte by byte.
async fn trickle(
    mut from_server: impl AsyncRead + Unpin,
    to_client: &mut (impl AsyncWrite + Unpin),
    after: usize,
) -> std::io::Result<()> {
    let mut beginning = vec![0; after];
    from_server.read_exact(&mut beginning).await?;
    to_client.write_all(&beginning).await?;
    loop {
        let byte = from_server.read_u8().await?;
        to_client.write_u8(byte).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
