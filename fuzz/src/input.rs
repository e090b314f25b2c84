//! The fuzzer's bytes as a program: numbers, choices and strings, read from the front.
//!
//! Only the front is read, and a string carries its length before it, so that a seed is written by hand
//! and a byte that is inserted moves what follows and changes nothing else.

use std::hash::{DefaultHasher, Hash, Hasher};

use arbitrary::Unstructured;

/// The bytes that are left.
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

    /// A number that follows from all bytes and from no few of them. Secrets are made of it: the fuzzer
    /// sees what is compared, and would write a constant password into its next message.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Nothing is left.
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

    /// A string: a byte of length, then so many bytes or as many as there are.
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

    /// All that is left.
    pub fn rest(self) -> &'a [u8] {
        self.bytes.take_rest()
    }

    /// The lengths of the pieces that a stream is cut to; they repeat.
    pub fn cuts(&mut self) -> Cuts {
        let lengths = (0..self.byte() % 8).map(|_| usize::from(self.byte())).collect();
        Cuts { lengths, next: 0 }
    }
}

/// Cuts a stream to pieces.
pub struct Cuts {
    lengths: Vec<usize>,
    next: usize,
}

impl Cuts {
    /// The next piece's length, of at least one byte and at most what is there.
    pub fn next(&mut self, there: usize) -> usize {
        let Some(&length) = self.lengths.get(self.next % self.lengths.len().max(1)) else { return there };
        self.next += 1;
        length.clamp(1, there)
    }
}
