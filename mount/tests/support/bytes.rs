//! Bytes to write and to read back.

use std::fs::File;
use std::os::unix::fs::FileExt;

pub const MIB: usize = 1024 * 1024;

/// The same bytes for the same seed, different ones everywhere.
pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
    Random(seed).bytes(length)
}

/// [`bytes`] as one who does not hold all of them writes them: in pieces of a multiple of 8 bytes.
pub fn pieces(seed: u64, length: usize, piece: usize) -> impl Iterator<Item = Vec<u8>> {
    assert_eq!(piece % size_of::<u64>(), 0, "numbers are not cut");
    let mut random = Random(seed);
    let starts = (0..length).step_by(piece);
    starts.map(move |start| random.bytes(piece.min(length - start)))
}

/// xorshift64* (Vigna, 2016): enough for offsets.
pub struct Random(pub u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.draw() % limit as u64).unwrap()
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + size_of::<u64>());
        while bytes.len() < length {
            bytes.extend_from_slice(&self.draw().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

/// Fills the buffer from `start` on as far as the file goes, and gives how far that is.
pub fn read_fully(file: &File, buffer: &mut [u8], start: usize) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        let offset = (start + filled) as u64;
        match file.read_at(&mut buffer[filled..], offset).unwrap() {
            0 => break,
            count => filled += count,
        }
    }
    filled
}

/// Where two byte strings differ first, for a message of bearable size; `None` where they do not.
pub fn difference(found: &[u8], wanted: &[u8]) -> Option<String> {
    if found == wanted {
        return None;
    }
    let same = found.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    let (found, wanted) = (found.len(), wanted.len());
    Some(format!(
        "{found} bytes, not {wanted}; they differ from byte {same} on"
    ))
}

/// Asserts that bytes are as they should be, without printing them.
#[track_caller]
pub fn assert_bytes(found: impl AsRef<[u8]>, wanted: impl AsRef<[u8]>, what: &str) {
    if let Some(difference) = difference(found.as_ref(), wanted.as_ref()) {
        panic!("{what}: {difference}");
    }
}
