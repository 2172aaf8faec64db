//! HTTP/1.1 messages (RFC 9112) as a proxy passes them on.

use std::io::{self, BufRead, Read, Write};

/// Longest head that is taken, in bytes: more than any request or answer of S3 has.
const HEAD_BYTES_MAX: u64 = 64 * 1024;

/// The first line and the headers of a message, and the empty line behind them.
pub struct Head {
    text: String,
}

impl Head {
    /// The next message's; `None` at the end of the connection.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut from = from.take(HEAD_BYTES_MAX);
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            if from.read_line(&mut text)? == 0 {
                if text.is_empty() {
                    return Ok(None);
                }
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Some(Self { text }))
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Of a request.
    pub fn method(&self) -> &str {
        self.word(0)
    }

    /// Of a request: the bucket and the key, percent-encoded.
    pub fn path(&self) -> &str {
        self.word(1).split('?').next().unwrap_or_default()
    }

    /// Of a request: what stands behind the question mark, percent-encoded.
    pub fn query(&self) -> &str {
        self.word(1).split_once('?').map_or("", |(_, query)| query)
    }

    /// Of a request: a parameter of the query, percent-encoded.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query().split('&');
        pairs.find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then_some(value)
        })
    }

    /// Of an answer.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Of a request.
    pub fn body(&self) -> Body {
        match self.body_with_headers() {
            Body::UntilTheEnd => Body::Length(0),
            body => body,
        }
    }

    /// Of the answer to a request with this method.
    pub fn body_to(&self, method: &str) -> Body {
        if method == "HEAD" || matches!(self.status(), 100..=199 | 204 | 304) {
            return Body::Length(0);
        }
        self.body_with_headers()
    }

    fn body_with_headers(&self) -> Body {
        if self.header("transfer-encoding").is_some() {
            return Body::Chunked;
        }
        let length = self.header("content-length");
        match length.and_then(|length| length.parse().ok()) {
            Some(length) => Body::Length(length),
            None => Body::UntilTheEnd,
        }
    }

    /// Whether the connection ends with this message.
    pub fn is_last(&self) -> bool {
        let connection = self.header("connection").unwrap_or_default();
        connection.eq_ignore_ascii_case("close")
    }

    fn word(&self, index: usize) -> &str {
        let line = self.text.lines().next().unwrap_or_default();
        line.split(' ').nth(index).unwrap_or_default()
    }
}

/// How long a body is (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Length(u64),
    Chunked,
    UntilTheEnd,
}

impl Body {
    /// Passes the body on as it is.
    pub fn copy(self, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Length(length) => copy_exactly(length, from, to),
            Self::Chunked => copy_chunks(from, to, true),
            Self::UntilTheEnd => io::copy(from, to).map(drop),
        }
    }

    /// The body's bytes, without the frames of chunks.
    pub fn collect(self, from: &mut impl BufRead) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Self::Chunked => copy_chunks(from, &mut bytes, false)?,
            other => other.copy(from, &mut bytes)?,
        }
        Ok(bytes)
    }
}

fn copy_exactly(length: u64, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    if io::copy(&mut from.take(length), to)? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

fn copy_chunks(from: &mut impl BufRead, to: &mut impl Write, framed: bool) -> io::Result<()> {
    let mut frame = String::new();
    let mut next_frame = |from: &mut dyn BufRead, to: &mut dyn Write| {
        frame.clear();
        if from.take(HEAD_BYTES_MAX).read_line(&mut frame)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        if framed {
            to.write_all(frame.as_bytes())?;
        }
        Ok(frame.trim_end().to_owned())
    };
    loop {
        let line = next_frame(from, to)?;
        let size = line.split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
        if size == 0 {
            // Trailers, and the empty line that ends them.
            while !next_frame(from, to)?.is_empty() {}
            return Ok(());
        }
        copy_exactly(size, from, to)?;
        // Of the chunk: it ends with its line.
        next_frame(from, to)?;
    }
}
