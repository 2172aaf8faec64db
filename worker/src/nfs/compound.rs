//! One `COMPOUND` over ONC RPC (RFC 5531): `PUTROOTFH`, and a `LOOKUP` for each name.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::xdr::{Reader, Short, Writer};

/// Names the call; one call is made on a connection.
const XID: u32 = 0x0064_6c66;
const CALL: u32 = 0;
const REPLY: u32 = 1;
const RPC_VERSION: u32 = 2;
const NFS_PROGRAM: u32 = 100_003;
const NFS_VERSION: u32 = 4;
const PROCEDURE_COMPOUND: u32 = 1;
const MINOR_VERSION: u32 = 0;
const AUTH_NONE: u32 = 0;
const AUTH_SYS: u32 = 1;
/// `nobody`: looking a name up needs no rights that everybody does not have.
const NOBODY: u32 = 65_534;
const OP_LOOKUP: u32 = 15;
const OP_PUTROOTFH: u32 = 24;
const ACCEPTED: u32 = 0;
const SUCCESS: u32 = 0;
const PROGRAM_UNAVAILABLE: u32 = 1;
const PROGRAM_MISMATCH: u32 = 2;

/// Bit of a record's header that says it is the message's last.
const LAST_RECORD: u32 = 1 << 31;
/// The largest answer is some tens of bytes an operation.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Servers send such an answer in one record; empty ones without end would never make it too long.
const RECORDS_MAX: usize = 64;

/// What the server says of the share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is there.
    Found,
    /// It may be there, but not for us.
    Guarded(&'static str),
    /// It is not there.
    Missing,
    /// Something else, as `nfsstat4`.
    Refused(u32),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProtocolError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Short(#[from] Short),
    #[error("the answer has {0} bytes")]
    TooLong(usize),
    #[error("the answer has no end")]
    Endless,
    #[error("it is no answer to what was asked")]
    Unexpected,
}

/// Looks `names` up, one beneath the other, from the server's root.
pub(super) async fn look_up<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    names: &[&str],
) -> Result<Answer, ProtocolError> {
    let call = call(names);
    let mut record = Writer::default();
    record.number(LAST_RECORD | u32::try_from(call.len()).unwrap_or(u32::MAX));
    let mut record = record.into_bytes();
    record.extend_from_slice(&call);
    stream.write_all(&record).await?;
    stream.flush().await?;
    answer(&receive(stream).await?)
}

fn call(names: &[&str]) -> Vec<u8> {
    let mut credential = Writer::default();
    // Stamp, machine, user, group, no further groups.
    credential
        .number(0)
        .opaque(b"dlf-worker")
        .number(NOBODY)
        .number(NOBODY)
        .number(0);
    let mut call = Writer::default();
    call.number(XID).number(CALL).number(RPC_VERSION);
    call.number(NFS_PROGRAM)
        .number(NFS_VERSION)
        .number(PROCEDURE_COMPOUND);
    call.number(AUTH_SYS).opaque(&credential.into_bytes());
    call.number(AUTH_NONE).opaque(b"");
    let tag = b"dlf";
    let operations = u32::try_from(names.len() + 1).unwrap_or(u32::MAX);
    call.opaque(tag)
        .number(MINOR_VERSION)
        .number(operations)
        .number(OP_PUTROOTFH);
    for name in names {
        call.number(OP_LOOKUP).opaque(name.as_bytes());
    }
    call.into_bytes()
}

async fn receive<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, ProtocolError> {
    let mut message = Vec::new();
    for _ in 0..RECORDS_MAX {
        let header = stream.read_u32().await?;
        let length = usize::try_from(header & !LAST_RECORD).unwrap_or(usize::MAX);
        let total = message.len().saturating_add(length);
        if total > ANSWER_BYTES_MAX {
            return Err(ProtocolError::TooLong(total));
        }
        let begin = message.len();
        message.resize(total, 0);
        stream.read_exact(&mut message[begin..]).await?;
        if header & LAST_RECORD != 0 {
            return Ok(message);
        }
    }
    Err(ProtocolError::Endless)
}

fn answer(message: &[u8]) -> Result<Answer, ProtocolError> {
    let mut reader = Reader::new(message);
    if (reader.number()?, reader.number()?) != (XID, REPLY) {
        return Err(ProtocolError::Unexpected);
    }
    if reader.number()? != ACCEPTED {
        return Ok(Answer::Guarded(
            "the server wants another kind of credential",
        ));
    }
    let (_verifier_kind, _verifier) = (reader.number()?, reader.opaque()?);
    match reader.number()? {
        SUCCESS => Ok(of_status(reader.number()?)),
        PROGRAM_UNAVAILABLE | PROGRAM_MISMATCH => {
            Ok(Answer::Guarded("the server does not speak NFS version 4"))
        }
        _ => Err(ProtocolError::Unexpected),
    }
}

/// The status of a compound is that of its last operation, the first that failed.
const fn of_status(status: u32) -> Answer {
    match status {
        0 => Answer::Found,
        // PERM, ACCESS, WRONGSEC
        1 | 13 | 10_016 => Answer::Guarded("the server does not show it to unprivileged clients"),
        // NOENT, NOTDIR, INVAL, NAMETOOLONG, STALE, BADCHAR, BADNAME
        2 | 20 | 22 | 63 | 70 | 10_040 | 10_041 => Answer::Missing,
        // MOVED, SYMLINK
        10_019 | 10_029 => Answer::Guarded("it leads elsewhere, where only the kernel follows"),
        // MINOR_VERS_MISMATCH
        10_021 => Answer::Guarded("the server does not speak NFS version 4.0"),
        // DELAY
        10_008 => Answer::Guarded("the server is busy"),
        other => Answer::Refused(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u32) -> Vec<u8> {
        let mut reply = Writer::default();
        reply.number(XID).number(REPLY).number(ACCEPTED);
        reply
            .number(AUTH_NONE)
            .opaque(b"")
            .number(SUCCESS)
            .number(status);
        reply.into_bytes()
    }

    #[test]
    fn statuses_have_meanings() {
        assert_eq!(answer(&reply(0)).unwrap(), Answer::Found);
        assert_eq!(answer(&reply(2)).unwrap(), Answer::Missing);
        assert!(matches!(answer(&reply(13)).unwrap(), Answer::Guarded(_)));
        // A link on the way, a server that has moved: the kernel's client follows both.
        assert!(matches!(
            answer(&reply(10_029)).unwrap(),
            Answer::Guarded(_)
        ));
        assert!(matches!(
            answer(&reply(10_019)).unwrap(),
            Answer::Guarded(_)
        ));
        assert_eq!(answer(&reply(5)).unwrap(), Answer::Refused(5));
    }

    #[test]
    fn an_answer_that_is_cut_short_is_an_error_at_each_byte() {
        let whole = reply(0);
        for length in 0..whole.len() {
            assert!(answer(&whole[..length]).is_err(), "{length}");
        }
    }

    #[tokio::test]
    async fn an_answer_may_come_in_several_records_but_not_without_end() {
        let message = reply(2);
        let (head, tail) = message.split_at(10);
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&10_u32.to_be_bytes());
        bytes.extend_from_slice(head);
        let length = u32::try_from(tail.len()).unwrap() | LAST_RECORD;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(tail);
        assert_eq!(receive(&mut bytes.as_slice()).await.unwrap(), message);
        // What an HTTP server says: "HTTP" is a length of over a gigabyte.
        let error = receive(&mut b"HTTP/1.1 400 Bad Request".as_slice())
            .await
            .unwrap_err();
        assert!(matches!(error, ProtocolError::TooLong(_)), "{error}");
        let error = receive(&mut tokio::io::repeat(0)).await.unwrap_err();
        assert!(matches!(error, ProtocolError::Endless), "{error}");
    }
}
