//! The fuzzer's bytes as a program: numbers, choices and strings.
//!
//! Everything is read from the front, and each string is preceded by its length. So seeds can be written by hand, and an
//! inserted byte only moves what follows.

use std::hash::{DefaultHasher, Hash, Hasher};

use arbitrary::Unstructured;

/// The unread bytes.
pub struct Input<'a> {
    bytes: Unstructured<'a>,
    digest: u64,
}

impl<'a> Input<'a> {
    /// All of the fuzzer's bytes.
    pub fn new(data: &'a [u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        data.hash(&mut hasher);
        Input { bytes: Unstructured::new(data), digest: hasher.finish() }
    }

    /// A hash of all bytes, from which secrets are made. The fuzzer sees comparisons, and would copy a constant password into its next
    /// message.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Whether all bytes are read.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next byte; 0 at the end.
    pub fn byte(&mut self) -> u8 {
        self.bytes.arbitrary().unwrap_or_default()
    }

    /// A number of two bytes.
    pub fn short(&mut self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    /// One of several.
    pub fn choose<'t, T>(&mut self, among: &'t [T]) -> &'t T {
        &among[usize::from(self.byte()) % among.len()]
    }

    /// A string: its length in one byte, then that many bytes, or fewer at the end.
    pub fn string(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.bytes.len());
        self.bytes.bytes(length).unwrap_or_default()
    }

    /// A string that may be absent.
    pub fn optional(&mut self) -> Option<&'a [u8]> {
        match self.byte() {
            0xff => None,
            length => {
                let length = usize::from(length).min(self.bytes.len());
                Some(self.bytes.bytes(length).unwrap_or_default())
            }
        }
    }

    /// A string that may be absent, and longer: its length in two bytes.
    pub fn long(&mut self) -> Option<&'a [u8]> {
        match self.short() {
            0xffff => None,
            length => {
                let length = length.min(self.bytes.len());
                Some(self.bytes.bytes(length).unwrap_or_default())
            }
        }
    }

    /// All unread bytes.
    pub fn rest(self) -> &'a [u8] {
        self.bytes.take_rest()
    }

    /// The lengths of the pieces to cut a stream into; they repeat.
    pub fn cuts(&mut self) -> Cuts {
        let lengths = (0..self.byte() % 8).map(|_| usize::from(self.byte())).collect();
        Cuts { lengths, next: 0 }
    }
}

/// Cuts a stream into pieces.
pub struct Cuts {
    lengths: Vec<usize>,
    next: usize,
}

impl Cuts {
    /// The length of the next piece, from 1 to the number of available bytes.
    pub fn next(&mut self, available: usize) -> usize {
        let Some(&length) = self.lengths.get(self.next % self.lengths.len().max(1)) else { return available };
        self.next += 1;
        length.clamp(1, available)
    }
}
