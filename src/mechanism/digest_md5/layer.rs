//! Integrity and confidentiality protection (RFC 2831 §2.3, §2.4).

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use zeroize::{Zeroize, Zeroizing};

use crate::contract::{LayerLimits, SecurityLayer, Side};
use crate::error::{Error, Malformed, PeerMisbehaved};
use crate::layer::FRAME;
use crate::secret::ct_eq;

use super::ciphers::{decryption, encryption, Transform, BLOCK};
use super::quality::Cipher;
use super::response::SessionKey;

/// The first ten bytes of HMAC-MD5.
const MAC: usize = 10;
/// The message type 0x0001 and the sequence number, which are never encrypted.
const TAIL: usize = 6;
const TYPE: [u8; 2] = [0, 1];

/// One direction of the traffic: all its messages are encoded, or all are decoded.
struct Direction {
    /// Ki.
    key: Hmac<Md5>,
    /// `None` for `auth-int`.
    cipher: Option<Transform>,
    /// The sequence number of the next message; `None` when all are used up.
    sequence: Option<u32>,
}

/// The layer of `auth-int` or `auth-conf`.
pub struct Layer {
    limits: LayerLimits,
    /// True for a cipher that works on blocks.
    padded: bool,
    outgoing: Direction,
    incoming: Direction,
}

/// The longest plaintext whose frame has at most `frame` bytes.
pub fn max_plaintext(cipher: Option<Cipher>, frame: u32) -> usize {
    let room = (frame as usize).saturating_sub(TAIL);
    match cipher {
        Some(cipher) if cipher.is_block() => (room / BLOCK * BLOCK).saturating_sub(MAC + 1),
        _ => room.saturating_sub(MAC),
    }
}

impl Layer {
    /// `sent` and `received` are the longest frames of each direction.
    pub fn new(side: Side, cipher: Option<Cipher>, key: &SessionKey, sent: u32, received: u32) -> Self {
        let (outgoing, incoming) = match side {
            Side::Client => (&TO_SERVER, &TO_CLIENT),
            Side::Server => (&TO_CLIENT, &TO_SERVER),
        };
        Layer {
            limits: LayerLimits {
                ssf: cipher.map_or(1, Cipher::ssf),
                max_plaintext: max_plaintext(cipher, sent),
                max_received: received as usize,
            },
            padded: cipher.is_some_and(Cipher::is_block),
            outgoing: Direction::new(outgoing, key, cipher.map(|c| encryption(c, &outgoing.cipher_key(c, key)))),
            incoming: Direction::new(incoming, key, cipher.map(|c| decryption(c, &incoming.cipher_key(c, key)))),
        }
    }

    /// Bytes of padding: one to eight, so that the message, the padding and the code fill whole blocks.
    fn padding(&self, length: usize) -> usize {
        if self.padded {
            BLOCK - (length + MAC) % BLOCK
        } else {
            0
        }
    }
}

impl SecurityLayer for Layer {
    fn limits(&self) -> LayerLimits {
        self.limits
    }

    fn room(&self, length: usize) -> usize {
        length + self.padding(length) + MAC + TAIL
    }

    /// `SEAL(Kc, {msg, pad, MAC(Ki, {SeqNum, msg})[0..9]}), 0x0001, SeqNum`
    fn encode(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Error> {
        let padding = self.padding(length);
        let sealed = length + padding + MAC;
        let sequence = self.outgoing.take_sequence()?;
        let Some(frame) = buffer.get_mut(..sealed + TAIL) else {
            return Err(Error::System("internal error: too little room for a frame"));
        };
        self.outgoing.seal(sequence, &mut frame[..sealed], length);
        frame[sealed..sealed + 2].copy_from_slice(&TYPE);
        frame[sealed + 2..].copy_from_slice(&sequence);
        Ok(sealed + TAIL)
    }

    fn decode(&mut self, frame: &mut [u8]) -> Result<usize, Error> {
        let misbehaved = |reason| Err(Error::misbehaved(FRAME, reason));
        let least = if self.padded { 2 * BLOCK } else { MAC };
        let sealed = frame.len().wrapping_sub(TAIL);
        if frame.len() < least + TAIL || (self.padded && sealed % BLOCK != 0) {
            return Err(Error::malformed(FRAME, Malformed::Unexpected("no frame has this length")));
        }
        let (body, tail) = frame.split_at_mut(sealed);
        if tail[..2] != TYPE {
            return misbehaved(PeerMisbehaved::MessageType);
        }
        let sequence = self.incoming.take_sequence()?;
        if tail[2..] != sequence {
            return misbehaved(PeerMisbehaved::OutOfSequence);
        }
        let Some(length) = self.incoming.open(sequence, body, self.padded) else {
            frame.zeroize();
            return Err(Error::misbehaved(FRAME, PeerMisbehaved::Damaged));
        };
        Ok(length)
    }
}

impl Direction {
    fn new(constants: &Constants, session: &SessionKey, cipher: Option<Transform>) -> Self {
        // HMAC pads a key with zeros to a whole block. The type for a whole block has no error.
        let mut key = Zeroizing::new([0; 64]);
        key[..16].copy_from_slice(&constants.signing_key(session)[..]);
        Direction { key: Hmac::new((&*key).into()), cipher, sequence: Some(0) }
    }

    /// `MAC(Ki, {SeqNum, msg})[0..9]`
    fn code(&self, sequence: [u8; 4], text: &[u8]) -> [u8; MAC] {
        let whole: [u8; 16] = self.key.clone().chain_update(sequence).chain_update(text).finalize().into_bytes().into();
        let mut code = [0; MAC];
        code.copy_from_slice(&whole[..MAC]);
        code
    }

    /// Encodes `length` bytes of text in a buffer with room for padding and code.
    fn seal(&mut self, sequence: [u8; 4], body: &mut [u8], length: usize) {
        let (text, rest) = body.split_at_mut(length);
        let (padding, code) = rest.split_at_mut(rest.len() - MAC);
        padding.fill(padding.len() as u8);
        code.copy_from_slice(&self.code(sequence, text));
        if let Some(encrypt) = &mut self.cipher {
            encrypt(body);
        }
    }

    /// Decodes: returns the length of the text if its padding and code are right.
    fn open(&mut self, sequence: [u8; 4], body: &mut [u8], padded: bool) -> Option<usize> {
        if let Some(decrypt) = &mut self.cipher {
            decrypt(body);
        }
        let (text, code) = body.split_at(body.len() - MAC);
        let (padding, padded_well) = if padded { padding(text) } else { (0, true) };
        let text = &text[..text.len() - padding];
        // Wrong padding and a wrong code are the same error, after the same work.
        (ct_eq(&self.code(sequence, text), code) & padded_well).then_some(text.len())
    }

    /// No number is used twice, since frames could then be repeated.
    fn take_sequence(&mut self) -> Result<[u8; 4], Error> {
        let number = self.sequence.ok_or(Error::System("the sequence numbers of the security layer are used up"))?;
        self.sequence = number.checked_add(1);
        Ok(number.to_be_bytes())
    }
}

/// The number of padding bytes at the end of the text, and whether they are right. The text has at least six bytes, and at
/// most six bytes of the first block belong to the message. Wrong padding counts as one byte.
fn padding(text: &[u8]) -> (usize, bool) {
    let count = text.last().copied().unwrap_or(0);
    let length = usize::from(count);
    let good = (1..=BLOCK).contains(&length)
        && length <= text.len()
        && text[text.len() - length..].iter().fold(0, |differ, byte| differ | (byte ^ count)) == 0;
    (if good { length } else { 1 }, good)
}

/// The constants from which the keys of one direction are derived (RFC 2831 §2.3 and §2.4).
struct Constants {
    signing: &'static str,
    sealing: &'static str,
}

const TO_SERVER: Constants = Constants {
    signing: "Digest session key to client-to-server signing key magic constant",
    sealing: "Digest H(A1) to client-to-server sealing key magic constant",
};
const TO_CLIENT: Constants = Constants {
    signing: "Digest session key to server-to-client signing key magic constant",
    sealing: "Digest H(A1) to server-to-client sealing key magic constant",
};

impl Constants {
    /// Kic or Kis.
    fn signing_key(&self, session: &SessionKey) -> Zeroizing<[u8; 16]> {
        derive(&session[..], self.signing)
    }

    /// Kcc or Kcs.
    fn cipher_key(&self, cipher: Cipher, session: &SessionKey) -> Zeroizing<[u8; 16]> {
        derive(&session[..cipher.key_bytes()], self.sealing)
    }
}

fn derive(session: &[u8], magic: &str) -> Zeroizing<[u8; 16]> {
    Zeroizing::new(Md5::new().chain_update(session).chain_update(magic).finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After the last number nothing is sent or read any more: otherwise the first frame would be valid again.
    #[test]
    fn no_sequence_number_is_used_twice() {
        let key = SessionKey::from([7; 16]);
        let mut client = Layer::new(Side::Client, None, &key, 65_536, 65_536);
        let mut server = Layer::new(Side::Server, None, &key, 65_536, 65_536);
        let seal = |client: &mut Layer| {
            let mut frame = [b"text", &[0; MAC + TAIL][..]].concat();
            client.encode(&mut frame, 4).map(|length| frame[..length].to_vec())
        };
        let first = seal(&mut client).unwrap();
        assert_eq!(server.decode(&mut first.clone()), Ok(4));
        (client.outgoing.sequence, server.incoming.sequence) = (Some(u32::MAX), Some(u32::MAX));
        let last = seal(&mut client).unwrap();
        assert_eq!(server.decode(&mut last.clone()), Ok(4));
        let used_up = Error::System("the sequence numbers of the security layer are used up");
        for _ in 0..2 {
            assert_eq!(seal(&mut client), Err(used_up.clone()));
            assert_eq!(server.decode(&mut first.clone()), Err(used_up.clone()));
        }
    }
}
