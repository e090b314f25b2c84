//! The ciphers of `auth-conf` (RFC 2831 §2.4), as transformations of buffers.

use cbc::cipher::array::Array;
use cbc::cipher::consts::U8;
use cbc::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt};
use cbc::cipher::{InnerIvInit, KeyInit, StreamCipher};
use des::{Des, TdesEde2};
use rc4::Rc4;
use zeroize::Zeroizing;

use super::quality::Cipher;

/// Length of a block of DES and triple DES, in bytes.
pub const BLOCK: usize = 8;

/// Encrypts or decrypts in place. A block cipher does not change bytes after the last whole block. The state continues from
/// one message to the next: the key stream goes on, and the last block is the next initialization vector.
pub type Transform = Box<dyn FnMut(&mut [u8]) + Send>;

/// The cipher for sent messages, keyed with Kcc or Kcs.
pub fn encryption(cipher: Cipher, key: &[u8; 16]) -> Transform {
    match cipher {
        Cipher::Rc4 | Cipher::Rc4With56 | Cipher::Rc4With40 => key_stream(key),
        Cipher::Des => encrypt_blocks(des(key), key),
        Cipher::TripleDes => encrypt_blocks(triple_des(key), key),
    }
}

/// The cipher for received messages.
pub fn decryption(cipher: Cipher, key: &[u8; 16]) -> Transform {
    match cipher {
        Cipher::Rc4 | Cipher::Rc4With56 | Cipher::Rc4With40 => key_stream(key),
        Cipher::Des => decrypt_blocks(des(key), key),
        Cipher::TripleDes => decrypt_blocks(triple_des(key), key),
    }
}

/// RC4. Its type takes keys of 32 bytes. RC4 repeats a key until it fills the state, so a key of 16 bytes is equivalent to the
/// same key twice.
fn key_stream(key: &[u8; 16]) -> Transform {
    let mut twice = Zeroizing::new([0; 32]);
    twice.chunks_exact_mut(16).for_each(|half| half.copy_from_slice(key));
    let mut stream = Rc4::new((&*twice).into());
    Box::new(move |bytes| stream.apply_keystream(bytes))
}

fn encrypt_blocks<C>(cipher: C, key: &[u8; 16]) -> Transform
where
    C: BlockCipherEncrypt<BlockSize = U8> + Send + 'static,
{
    let mut mode = cbc::Encryptor::inner_iv_init(cipher, &vector(key));
    Box::new(move |bytes| mode.encrypt_blocks(Array::slice_as_chunks_mut(bytes).0))
}

fn decrypt_blocks<C>(cipher: C, key: &[u8; 16]) -> Transform
where
    C: BlockCipherDecrypt<BlockSize = U8> + Send + 'static,
{
    let mut mode = cbc::Decryptor::inner_iv_init(cipher, &vector(key));
    Box::new(move |bytes| mode.decrypt_blocks(Array::slice_as_chunks_mut(bytes).0))
}

fn des(key: &[u8; 16]) -> Des {
    Des::new((&*spread(key, 0)).into())
}

/// Triple DES with two keys, the first of which is used twice.
fn triple_des(key: &[u8; 16]) -> TdesEde2 {
    let mut both = Zeroizing::new([0; 16]);
    both[..8].copy_from_slice(&*spread(key, 0));
    both[8..].copy_from_slice(&*spread(key, 7));
    TdesEde2::new((&*both).into())
}

/// The initialization vector of the first message: the last eight bytes of the key.
fn vector(key: &[u8; 16]) -> Array<u8, U8> {
    let mut vector = Array::default();
    vector.copy_from_slice(&key[8..]);
    vector
}

/// Seven bytes of `key` from `start` as a DES key of eight bytes, whose parity bits are zero.
fn spread(key: &[u8; 16], start: usize) -> Zeroizing<[u8; 8]> {
    let bits = key[start..start + 7].iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
    let mut spread = Zeroizing::new([0; 8]);
    spread.iter_mut().zip(0..).for_each(|(out, n)| *out = (bits >> (49 - 7 * n) << 1) as u8);
    spread
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash::unhex;

    #[test]
    fn a_key_is_spread_over_eight_bytes() {
        assert_eq!(*spread(&[0xFF; 16], 7), [0xFE; 8]);
        let mut key = [0; 16];
        (key[1], key[7]) = (0x80, 1);
        assert_eq!(*spread(&key, 1), [0x80, 0, 0, 0, 0, 0, 0, 2]);
    }

    /// RFC 6229 §2, the key of 128 bits, at offsets 0 and 240 of the key stream.
    #[test]
    fn rfc_6229() {
        let key = unhex("0102030405060708090a0b0c0d0e0f10").try_into().unwrap();
        let mut stream = vec![0; 256];
        encryption(Cipher::Rc4, &key)(&mut stream);
        assert_eq!(stream[..16], unhex("9ac7cc9a609d1ef7b2932899cde41b97"));
        assert_eq!(stream[240..], unhex("065902e4b620f6cc36c8589f66432f2b"));
    }

    /// A message gives the same bytes wherever it is divided between blocks, and they decrypt to it.
    #[test]
    fn the_state_is_carried_over() {
        let key = *b"sixteen byte key";
        let message: Vec<u8> = (0..72).collect();
        for cipher in [Cipher::Rc4, Cipher::Des, Cipher::TripleDes] {
            let mut whole = message.clone();
            encryption(cipher, &key)(&mut whole);
            assert_ne!(whole[64..], message[64..]);
            for cut in (0..=72).step_by(BLOCK) {
                let (mut encrypt, mut decrypt, mut parts) =
                    (encryption(cipher, &key), decryption(cipher, &key), message.clone());
                let (head, tail) = parts.split_at_mut(cut);
                encrypt(head);
                encrypt(tail);
                assert_eq!(parts, whole);
                let (head, tail) = parts.split_at_mut(cut);
                decrypt(head);
                decrypt(tail);
                assert_eq!(parts, message);
            }
        }
    }
}
