//! As much of XDR (RFC 4506) as a call and its answer need: unsigned numbers and opaque bytes.

/// Bytes that opaque data is filled up to.
const ALIGNMENT: usize = 4;

/// The answer ended too early.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is cut short")]
pub(super) struct Short;

/// What is written.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn number(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn opaque(&mut self, bytes: &[u8]) -> &mut Self {
        // Everything we write is far below 4 GiB; what is not would be refused by its reader.
        self.number(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(ALIGNMENT), 0);
        self
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// What is read.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn number(&mut self) -> Result<u32, Short> {
        let (value, rest) = self.0.split_first_chunk().ok_or(Short)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*value))
    }

    pub(super) fn opaque(&mut self) -> Result<&'a [u8], Short> {
        let length = usize::try_from(self.number()?).map_err(|_| Short)?;
        let padded = length.checked_next_multiple_of(ALIGNMENT).ok_or(Short)?;
        let (padded, rest) = self.0.split_at_checked(padded).ok_or(Short)?;
        self.0 = rest;
        Ok(&padded[..length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut writer = Writer::default();
        writer.number(7).opaque(b"abcde").opaque(b"").number(9);
        let bytes = writer.into_bytes();
        assert_eq!(bytes.len(), 4 + 4 + 8 + 4 + 4);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.number(), Ok(7));
        assert_eq!(reader.opaque(), Ok(b"abcde".as_slice()));
        assert_eq!(reader.opaque(), Ok(b"".as_slice()));
        assert_eq!(reader.number(), Ok(9));
        assert_eq!(reader.number(), Err(Short));
    }

    #[test]
    fn a_length_beyond_the_end_is_an_error() {
        assert_eq!(Reader::new(&u32::MAX.to_be_bytes()).opaque(), Err(Short));
        assert_eq!(
            Reader::new(&[0, 0, 0, 3, 1, 2, 3]).opaque(),
            Err(Short),
            "padding counts"
        );
    }
}
