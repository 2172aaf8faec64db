//! Messages on a stream. A frame is twelve bytes of header, both numbers big-endian, and a payload:
//! four bytes with the payload's length, eight with the number of the call, which an answer repeats,
//! and the message as JSON.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Of a frame, before its payload.
const HEADER_BYTES: usize = 12;

/// A message or an answer, with the number of its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The call's number.
    pub id: u64,
    /// JSON.
    pub json: Vec<u8>,
}

/// Reads a frame; none at the end of the stream.
///
/// # Errors
/// A stream that breaks within a frame, and `InvalidData` for a payload of more than `limit` bytes.
pub async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> io::Result<Option<Frame>> {
    let length = match stream.read_u32().await {
        Ok(length) => length as usize,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let id = stream.read_u64().await?;
    if length > limit {
        let why = format!("a frame of {length} bytes, where {limit} are the most");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    // Grows with what comes: a length alone reserves nothing.
    let mut json = Vec::with_capacity(length.min(64 << 10));
    let read = stream.take(length as u64).read_to_end(&mut json).await?;
    if read < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(Frame { id, json }))
}

/// Writes a frame.
///
/// # Errors
/// What the stream says.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> io::Result<()> {
    let length = u32::try_from(frame.json.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a frame beyond 4 GiB"))?;
    // In one piece: of three, the second waits for the other side to acknowledge the first (Nagle, RFC 896).
    let mut bytes = Vec::with_capacity(HEADER_BYTES + frame.json.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&frame.id.to_be_bytes());
    bytes.extend_from_slice(&frame.json);
    stream.write_all(&bytes).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_is_read_whole_or_named() {
        let frame = Frame {
            id: 7,
            json: b"{}".to_vec(),
        };
        let mut bytes = Vec::new();
        write(&mut bytes, &frame).await.unwrap();
        assert_eq!(bytes, b"\0\0\0\x02\0\0\0\0\0\0\0\x07{}");
        let mut stream = &bytes[..];
        assert_eq!(read(&mut stream, 8).await.unwrap(), Some(frame));
        assert_eq!(read(&mut stream, 8).await.unwrap(), None);
        let error = read(&mut &bytes[..], 1).await.unwrap_err();
        assert!(error.to_string().contains("2 bytes"), "{error}");
        let cut = read(&mut &bytes[..13], 8).await.unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }
}
