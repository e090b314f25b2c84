//! HMAC-MD5 and RC4 over the same message at once, which takes half the time of one after the other: both are
//! long chains of dependent operations, and a processor follows two of them as fast as one. While a block
//! is hashed, the key stream of a block is made.

use super::hmac_md5::{compress, compress_beside, HmacMd5};
use super::rc4::Rc4;

/// What of the message goes into the first block, beside a prefix of four bytes.
const HEAD: usize = 60;

impl HmacMd5 {
    /// The code of `prefix` and `message`, and encrypts the message.
    pub fn seal(&self, prefix: [u8; 4], message: &mut [u8], rc4: &mut Rc4) -> [u8; 16] {
        let length = message.len();
        let (head, rest) = message.split_at_mut(length.min(HEAD));
        let (mut state, mut block) = (self.inner, [0; 64]);
        block[..4].copy_from_slice(&prefix);
        block[4..][..head.len()].copy_from_slice(head);
        rc4.apply(head);
        let mut used = 4 + head.len();
        if used == block.len() {
            compress(&mut state, &block);
            let mut blocks = rest.chunks_exact_mut(64);
            let mut stream = rc4.stream();
            for whole in &mut blocks {
                let mut keys = [0; 16];
                compress_beside(&mut state, whole, |k| keys[k] = stream.four());
                apply(whole, &keys);
            }
            stream.end();
            let rest = blocks.into_remainder();
            used = rest.len();
            block[..used].copy_from_slice(rest);
            rc4.apply(rest);
        }
        self.end(state, &mut block, used, length)
    }

    /// Decrypts the message, and gives the code of `prefix` and plaintext.
    pub fn open(&self, prefix: [u8; 4], message: &mut [u8], rc4: &mut Rc4) -> [u8; 16] {
        let length = message.len();
        let (head, rest) = message.split_at_mut(length.min(HEAD));
        let (mut state, mut block) = (self.inner, [0; 64]);
        rc4.apply(head);
        block[..4].copy_from_slice(&prefix);
        block[4..][..head.len()].copy_from_slice(head);
        let mut used = 4 + head.len();
        if used == block.len() {
            let mut blocks = rest.chunks_exact_mut(64);
            let mut stream = rc4.stream();
            for whole in &mut blocks {
                let mut keys = [0; 16];
                compress_beside(&mut state, &block, |k| keys[k] = stream.four());
                apply(whole, &keys);
                block.copy_from_slice(whole);
            }
            stream.end();
            compress(&mut state, &block);
            let rest = blocks.into_remainder();
            rc4.apply(rest);
            used = rest.len();
            block[..used].copy_from_slice(rest);
        }
        self.end(state, &mut block, used, length)
    }
}

fn apply(block: &mut [u8], keys: &[u32; 16]) {
    for (bytes, key) in block.chunks_exact_mut(4).zip(keys) {
        bytes.iter_mut().zip(key.to_le_bytes()).for_each(|(byte, key)| *byte ^= key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At every length: the same as one after the other, and the way back.
    #[test]
    fn at_once_and_in_turn() {
        let mac = HmacMd5::new(b"sixteen byte key");
        let (mut turn, mut sealer, mut opener) = (Rc4::new(b"key"), Rc4::new(b"key"), Rc4::new(b"key"));
        for length in 0..400 {
            let plain: Vec<u8> = (0..length).map(|n| (n * 7 % 251) as u8).collect();
            let code = mac.of(*b"head", &plain);
            let mut expected = plain.clone();
            turn.apply(&mut expected);
            let mut message = plain.clone();
            assert_eq!(mac.seal(*b"head", &mut message, &mut sealer), code, "{length}");
            assert_eq!(message, expected, "{length}");
            assert_eq!(mac.open(*b"head", &mut message, &mut opener), code, "{length}");
            assert_eq!(message, plain, "{length}");
        }
    }
}
