//! The framing (RFC 4422 §3.7): four octets of length in network byte order, then the frame.

use zeroize::Zeroize;

use crate::contract::SecurityLayer;
use crate::error::{Error, Malformed};

/// The name of a frame in error texts.
pub const FRAME: &str = "frame of the security layer";
/// Room that one frame leaves behind, at most, in bytes: an idle connection holds no more.
const KEPT: usize = 4096;

/// What has come from the peer. One buffer holds plaintext that waits for its reader and, behind it,
/// the frame that is under way, which is opened where it stands.
#[derive(Default)]
pub(super) struct Incoming {
    data: Vec<u8>,
    /// Plaintext before this was read already.
    read: usize,
    /// Where plaintext ends and the frame under way begins.
    ready: usize,
    /// The four octets of length, as far as they came.
    header: [u8; 4],
    header_length: usize,
}

impl Incoming {
    /// Memory is taken for bytes that came, never for what a length announces.
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

    /// Gives room back once half of all was read, so that a reader who always leaves something behind does
    /// not let it grow, and few bytes are moved.
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

    /// Bytes that are missing to the end of the length, then of the frame: who reads no more than that leaves
    /// what follows where it is.
    pub fn wanted(&self) -> usize {
        match self.header_length {
            4 => u32::from_be_bytes(self.header) as usize - (self.data.len() - self.ready),
            some => 4 - some,
        }
    }

    pub fn in_frame(&self) -> bool {
        self.header_length > 0
    }

    /// Forgets everything: nothing that follows an error may be read.
    pub fn discard(&mut self) {
        self.data.zeroize();
        *self = Incoming::default();
    }
}

/// Checks the length of a frame before anything else is done with it.
pub(super) fn check_length(length: usize, limit: usize) -> Result<(), Error> {
    if length > limit {
        return Err(Error::malformed(FRAME, Malformed::TooLong { field: "it", limit }));
    }
    Ok(())
}

/// Appends frames of as many messages as the plaintext needs, of none for none.
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
