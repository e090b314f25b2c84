//! Integrity and confidentiality protection (RFC 2831 §2.3, §2.4).

use md5::{Digest, Md5};
use zeroize::{Zeroize, Zeroizing};

use crate::contract::{LayerLimits, SecurityLayer, Side};
use crate::crypto::des::{self, Des, TripleDes};
use crate::crypto::hmac_md5::HmacMd5;
use crate::crypto::rc4::Rc4;
use crate::error::{Error, Malformed, PeerMisbehaved};
use crate::layer::FRAME;
use crate::secret::ct_eq;

use super::protection::Cipher;
use super::response::SessionKey;

/// The first ten bytes of HMAC-MD5.
const MAC: usize = 10;
/// The message type 0x0001 and the sequence number, which are never encrypted.
const TAIL: usize = 6;
const TYPE: [u8; 2] = [0, 1];

/// One way of the traffic.
struct Direction {
    key: HmacMd5,
    cipher: Keyed,
    /// Of the next message; `None` when all of them are used up.
    sequence: Option<u32>,
}

/// A cipher with its key; in the box since they differ by a kilobyte.
enum Keyed {
    None,
    Rc4(Box<Rc4>),
    Des(Box<Des>),
    TripleDes(Box<TripleDes>),
}

/// The layer of `auth-int` or `auth-conf`.
pub struct Layer {
    limits: LayerLimits,
    /// True for a cipher that works on blocks.
    padded: bool,
    outgoing: Direction,
    incoming: Direction,
}

/// The longest plaintext whose frame is no longer than `frame`.
pub fn max_plaintext(cipher: Option<Cipher>, frame: u32) -> usize {
    let room = (frame as usize).saturating_sub(TAIL);
    match cipher {
        Some(cipher) if cipher.is_block() => (room / des::BLOCK * des::BLOCK).saturating_sub(MAC + 1),
        _ => room.saturating_sub(MAC),
    }
}

impl Layer {
    /// `sent` and `received` are the longest frames of either way.
    pub fn new(side: Side, cipher: Option<Cipher>, key: &SessionKey, sent: u32, received: u32) -> Self {
        let (outgoing, incoming) = match side {
            Side::Client => (Way::ToServer, Way::ToClient),
            Side::Server => (Way::ToClient, Way::ToServer),
        };
        Layer {
            limits: LayerLimits {
                ssf: cipher.map_or(1, Cipher::ssf),
                max_plaintext: max_plaintext(cipher, sent),
                max_received: received as usize,
            },
            padded: cipher.is_some_and(Cipher::is_block),
            outgoing: Direction::new(outgoing, cipher, key),
            incoming: Direction::new(incoming, cipher, key),
        }
    }

    /// Bytes of padding: one to eight, so that they, the message and its code fill whole blocks.
    fn padding(&self, length: usize) -> usize {
        if self.padded {
            des::BLOCK - (length + MAC) % des::BLOCK
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
        let misbehaved = |reason| Err(Error::misbehaved(FRAME, PeerMisbehaved::Rule(reason)));
        let least = if self.padded { 2 * des::BLOCK } else { MAC };
        let sealed = frame.len().wrapping_sub(TAIL);
        if frame.len() < least + TAIL || (self.padded && sealed % des::BLOCK != 0) {
            return Err(Error::malformed(FRAME, Malformed::Unexpected("no frame has this length")));
        }
        let (body, tail) = frame.split_at_mut(sealed);
        if tail[..2] != TYPE {
            return misbehaved("its message type is not 1");
        }
        let sequence = self.incoming.take_sequence()?;
        if tail[2..] != sequence {
            return misbehaved("its sequence number is not the next one: a frame was repeated, lost or moved");
        }
        let Some(length) = self.incoming.open(sequence, body) else {
            frame.zeroize();
            return Err(Error::misbehaved(FRAME, PeerMisbehaved::Damaged));
        };
        Ok(length)
    }
}

impl Direction {
    /// Turns `length` bytes of text, and room for padding and code, to what is sent.
    fn seal(&mut self, sequence: [u8; 4], body: &mut [u8], length: usize) {
        let (text, rest) = body.split_at_mut(length);
        let (padding, code) = rest.split_at_mut(rest.len() - MAC);
        padding.fill(padding.len() as u8);
        match &mut self.cipher {
            Keyed::Rc4(rc4) => {
                code.copy_from_slice(&self.key.seal(sequence, text, rc4)[..MAC]);
                rc4.apply(code);
            }
            cipher => {
                code.copy_from_slice(&self.key.of(sequence, text)[..MAC]);
                match cipher {
                    Keyed::None | Keyed::Rc4(_) => {}
                    Keyed::Des(des) => des.encrypt(body),
                    Keyed::TripleDes(des) => des.encrypt(body),
                }
            }
        }
    }

    /// The way back: the length of the text, if its padding and code are right.
    fn open(&mut self, sequence: [u8; 4], body: &mut [u8]) -> Option<usize> {
        let end = body.len() - MAC;
        let (length, padded_well, expected) = match &mut self.cipher {
            Keyed::None => (end, true, self.key.of(sequence, &body[..end])),
            Keyed::Rc4(rc4) => {
                let expected = self.key.open(sequence, &mut body[..end], rc4);
                rc4.apply(&mut body[end..]);
                (end, true, expected)
            }
            block => {
                match block {
                    Keyed::None | Keyed::Rc4(_) => {}
                    Keyed::Des(des) => des.decrypt(body),
                    Keyed::TripleDes(des) => des.decrypt(body),
                }
                let (padding, good) = padding(&body[..end]);
                (end - padding, good, self.key.of(sequence, &body[..end - padding]))
            }
        };
        // Wrong padding and a wrong code are one error, found after the same work.
        (ct_eq(&expected[..MAC], &body[end..]) & padded_well).then_some(length)
    }
}

/// The count of padding bytes that the text ends with, and whether they are right; the text has at
/// least six bytes and at most six of the first block's are the message's. Wrong ones count as one byte.
fn padding(text: &[u8]) -> (usize, bool) {
    let count = text.last().copied().unwrap_or(0);
    let length = usize::from(count);
    let good = (1..=des::BLOCK).contains(&length)
        && length <= text.len()
        && text[text.len() - length..].iter().fold(0, |differ, byte| differ | (byte ^ count)) == 0;
    (if good { length } else { 1 }, good)
}

/// Whose frames a key is for.
#[derive(Clone, Copy)]
enum Way {
    ToServer,
    ToClient,
}

impl Direction {
    /// Kic or Kis, and Kcc or Kcs.
    fn new(way: Way, cipher: Option<Cipher>, session: &SessionKey) -> Self {
        let (signing, sealing) = match way {
            Way::ToServer => (
                "Digest session key to client-to-server signing key magic constant",
                "Digest H(A1) to client-to-server sealing key magic constant",
            ),
            Way::ToClient => (
                "Digest session key to server-to-client signing key magic constant",
                "Digest H(A1) to server-to-client sealing key magic constant",
            ),
        };
        let cipher = match cipher {
            None => Keyed::None,
            Some(cipher) => Keyed::new(cipher, &derive(&session[..cipher.key_bytes()], sealing)),
        };
        Direction { key: HmacMd5::new(&derive(&session[..], signing)), cipher, sequence: Some(0) }
    }

    /// No number is used twice, since a frame could be repeated then.
    fn take_sequence(&mut self) -> Result<[u8; 4], Error> {
        let number = self.sequence.ok_or(Error::System("the sequence numbers of the security layer are used up"))?;
        self.sequence = number.checked_add(1);
        Ok(number.to_be_bytes())
    }
}

fn derive(session: &[u8], magic: &str) -> Zeroizing<[u8; 16]> {
    Zeroizing::new(Md5::new().chain_update(session).chain_update(magic).finalize().into())
}

impl Keyed {
    fn new(cipher: Cipher, key: &[u8; 16]) -> Self {
        let mut vector = Zeroizing::new([0; 8]);
        vector.copy_from_slice(&key[8..]);
        match cipher {
            Cipher::Rc4 | Cipher::Rc4With56 | Cipher::Rc4With40 => Keyed::Rc4(Box::new(Rc4::new(key))),
            Cipher::Des => Keyed::Des(Box::new(Des::new(&des::spread(key, 0), &vector))),
            Cipher::TripleDes => {
                let (first, second) = (des::spread(key, 0), des::spread(key, 7));
                Keyed::TripleDes(Box::new(TripleDes::new(&first, &second, &vector)))
            }
        }
    }
}
