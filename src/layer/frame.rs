//! The framing (RFC 4422 §3.7): four octets of length in network byte order, then the frame.

use zeroize::Zeroize;

use crate::contract::SecurityLayer;
use crate::error::{Error, Malformed};

/// The name of a frame in error texts.
pub const FRAME: &str = "frame of the security layer";
/// Maximum size of the buffer that is kept between frames, in bytes. An idle connection holds no more.
const KEPT: usize = 4096;

/// Received data. One buffer holds plaintext that was not read yet and, after it, the incomplete frame, which is decoded in
/// place.
#[derive(Default)]
pub(super) struct Incoming {
    data: Vec<u8>,
    /// Plaintext before this index was already read.
    read: usize,
    /// The end of the plaintext, where the incomplete frame begins.
    ready: usize,
    /// The four octets of length, as far as received.
    header: [u8; 4],
    header_length: usize,
}

impl Incoming {
    /// Memory is allocated for bytes that arrived, never for a length that is only announced.
    pub fn feed(&mut self, layer: &mut dyn SecurityLayer, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            if self.header_length < 4 {
                let (now, later) = bytes.split_at(bytes.len().min(4 - self.header_length));
                self.header[self.header_length..][..now.len()].copy_from_slice(now);
                self.header_length += now.len();
                bytes = later;
            }
            if self.header_length < 4 {
                break;
            }
            let length = u32::from_be_bytes(self.header) as usize;
            check_length(length, layer.limits().max_received)?;
            let (now, later) = bytes.split_at(bytes.len().min(length - (self.data.len() - self.ready)));
            self.data.extend_from_slice(now);
            bytes = later;
            if self.data.len() - self.ready == length {
                self.ready += layer.decode(&mut self.data[self.ready..])?;
                self.data.truncate(self.ready);
                self.header_length = 0;
            }
        }
        Ok(())
    }

    pub fn plaintext(&self) -> &[u8] {
        &self.data[self.read..self.ready]
    }

    /// Frees memory once half of the data was read. So the buffer does not grow if a reader always leaves some bytes, and few
    /// bytes are moved.
    pub fn consume(&mut self, count: usize) {
        self.read += count.min(self.ready - self.read);
        if self.read == self.ready || self.read >= KEPT.max(self.data.len() / 2) {
            self.data.drain(..self.read);
            self.ready -= self.read;
            self.read = 0;
        }
        if self.data.is_empty() {
            self.data.shrink_to(KEPT);
        }
    }

    /// Bytes missing until the end of the length, then of the frame. A reader that reads no more than that does not consume
    /// what follows.
    pub fn wanted(&self) -> usize {
        match self.header_length {
            4 => u32::from_be_bytes(self.header) as usize - (self.data.len() - self.ready),
            some => 4 - some,
        }
    }

    pub fn in_frame(&self) -> bool {
        self.header_length > 0
    }

    /// Discards everything: nothing may be read after an error.
    pub fn discard(&mut self) {
        self.data.zeroize();
        *self = Incoming::default();
    }
}

/// Checks the length of a frame first of all.
pub(super) fn check_length(length: usize, limit: usize) -> Result<(), Error> {
    if length > limit {
        return Err(Error::malformed(FRAME, Malformed::TooLong { field: "it", limit }));
    }
    Ok(())
}

/// Appends the frames of the plaintext, divided into as many messages as needed; none for empty plaintext.
pub(super) fn append(layer: &mut dyn SecurityLayer, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let most = layer.limits().max_plaintext.max(1);
    let whole = layer.room(most.min(plaintext.len())) + 4;
    out.reserve(plaintext.len().div_ceil(most) * whole);
    for message in plaintext.chunks(most) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(message);
        out.resize(start + 4 + layer.room(message.len()), 0);
        let length = layer.encode(&mut out[start + 4..], message.len())?;
        out.truncate(start + 4 + length);
        out[start..start + 4].copy_from_slice(&(length as u32).to_be_bytes());
    }
    Ok(())
}
