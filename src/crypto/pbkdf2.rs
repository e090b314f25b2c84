//! PBKDF2 (RFC 8018 §5.2) with HMAC, one block of output: SCRAM's `Hi()` (RFC 5802 §2.2).
//!
//! A client spends nearly all of its time on key derivation. An iteration of HMAC needs only two runs of the compression
//! function if the states after the padded key are computed once and the last block stays padded. The loop does that on
//! the stack. It uses the compression functions of the `sha1` and `sha2` crates, which use the processor's SHA
//! instructions if there are any.

use keccak::Keccak;
use zeroize::Zeroize;

use super::hash::{Digest, Hash};

/// `Hi(password, salt, iterations)`; 0 iterations count as 1.
pub fn derive(hash: Hash, password: &[u8], salt: &[u8], iterations: u32) -> Digest {
    #[cfg(test)]
    SPENT.set(SPENT.get() + u64::from(iterations));
    // U1 = HMAC(password, salt || INT(1))
    let first = hash.hmac(password, &[salt, &1u32.to_be_bytes()]);
    let rounds = iterations.saturating_sub(1);
    match hash {
        Hash::Sha1 => sha1_rounds(SHA_1, &key_block(hash, password), &first, rounds),
        Hash::Sha224 => sha256_rounds(SHA_224, &key_block(hash, password), &first, rounds),
        Hash::Sha256 => sha256_rounds(SHA_256, &key_block(hash, password), &first, rounds),
        Hash::Sha384 => sha512_rounds(SHA_384, &key_block(hash, password), &first, rounds),
        Hash::Sha512 => sha512_rounds(SHA_512, &key_block(hash, password), &first, rounds),
        Hash::Sha3_512 => sha3_rounds(&key_block(hash, password), &first, rounds),
    }
}

// The iterations that this thread has computed. Tests compare costs by them, since clocks are not reliable.
#[cfg(test)]
thread_local!(static SPENT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });

/// The number of iterations that `act` computes in this thread.
#[cfg(test)]
pub(crate) fn iterations_of(act: impl FnOnce()) -> u64 {
    let before = SPENT.get();
    act();
    SPENT.get() - before
}

/// HMAC's key, padded or hashed to the length of a block (RFC 2104 §2).
struct KeyBlock<const BLOCK: usize>([u8; BLOCK]);

fn key_block<const BLOCK: usize>(hash: Hash, key: &[u8]) -> KeyBlock<BLOCK> {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..hash.size()].copy_from_slice(&hash.digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    KeyBlock(block)
}

impl<const BLOCK: usize> KeyBlock<BLOCK> {
    fn padded_with(&self, pad: u8) -> [u8; BLOCK] {
        self.0.map(|byte| byte ^ pad)
    }
}

impl<const BLOCK: usize> Drop for KeyBlock<BLOCK> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Defines the loop for one compression function, given its word type, state size and block size.
macro_rules! rounds {
    ($name:ident, $Word:ty, $words:literal, $block:literal, $compress:path) => {
        /// XORs `U2` up to `U(rounds + 1)` to `first`, which is `U1`.
        fn $name(start: [$Word; $words], key: &KeyBlock<$block>, first: &[u8], rounds: u32) -> Digest {
            const BYTES: usize = size_of::<$Word>();
            let [mut inner, mut outer] = [0x36, 0x5c].map(|pad| {
                let mut state = start;
                let mut block = key.padded_with(pad);
                $compress(&mut state, &[block]);
                block.zeroize();
                state
            });
            // The digest, then the padding of FIPS 180-4 §5.1 for a message of one block and a digest.
            let mut block = [[0u8; $block]];
            block[0][..first.len()].copy_from_slice(first);
            block[0][first.len()] = 0x80;
            block[0][$block - 8..].copy_from_slice(&((($block + first.len()) * 8) as u64).to_be_bytes());
            let mut sum: [$Word; $words] = [0; $words];
            for (word, bytes) in sum.iter_mut().zip(first.chunks_exact(BYTES)) {
                *word = bytes.iter().fold(0, |word, byte| word << 8 | <$Word>::from(*byte));
            }
            // The words of the digest. A truncated hash has fewer of them than its state.
            let taken = first.len() / BYTES;
            for _ in 0..rounds {
                let mut state = inner;
                $compress(&mut state, &block);
                for (bytes, word) in block[0].chunks_exact_mut(BYTES).zip(&state[..taken]) {
                    bytes.copy_from_slice(&word.to_be_bytes());
                }
                state = outer;
                $compress(&mut state, &block);
                for (bytes, word) in block[0].chunks_exact_mut(BYTES).zip(&state[..taken]) {
                    bytes.copy_from_slice(&word.to_be_bytes());
                }
                sum.iter_mut().zip(&state).for_each(|(sum, word)| *sum ^= word);
            }
            for (bytes, word) in block[0].chunks_exact_mut(BYTES).zip(&sum) {
                bytes.copy_from_slice(&word.to_be_bytes());
            }
            let result = Digest::new(&block[0][..first.len()]);
            inner.zeroize();
            outer.zeroize();
            sum.zeroize();
            block[0].zeroize();
            result
        }
    };
}

rounds!(sha1_rounds, u32, 5, 64, sha1::block_api::compress);
rounds!(sha256_rounds, u32, 8, 64, sha2::block_api::compress256);
rounds!(sha512_rounds, u64, 8, 128, sha2::block_api::compress512);

/// The same for Keccak (FIPS 202). The states are those after the padded key, a block of 72 bytes. A digest has eight
/// lanes, and the ninth lane of the next block contains only padding.
fn sha3_rounds(key: &KeyBlock<72>, first: &[u8], rounds: u32) -> Digest {
    const PADDING: u64 = 0x8000_0000_0000_0006; // the suffix 01, then pad10*1 to the end of the block
    let mut sum = [0u64; 8];
    for (lane, bytes) in sum.iter_mut().zip(first.chunks_exact(8)) {
        *lane = lane_of(bytes);
    }
    Keccak::new().with_f1600(|permute| {
        let [mut inner, mut outer] = [0x36, 0x5c].map(|pad| {
            let mut state = [0u64; 25];
            let mut block = key.padded_with(pad);
            state.iter_mut().zip(block.chunks_exact(8)).for_each(|(lane, bytes)| *lane = lane_of(bytes));
            block.zeroize();
            permute(&mut state);
            state
        });
        let mut last = sum;
        for _ in 0..rounds {
            for keyed in [&inner, &outer] {
                let mut state = *keyed;
                state.iter_mut().zip(&last).for_each(|(lane, digest)| *lane ^= digest);
                state[8] ^= PADDING;
                permute(&mut state);
                last.copy_from_slice(&state[..8]);
            }
            sum.iter_mut().zip(&last).for_each(|(sum, lane)| *sum ^= lane);
        }
        inner.zeroize();
        outer.zeroize();
        last.zeroize();
    });
    let mut bytes = [0; 64];
    bytes.chunks_exact_mut(8).zip(&sum).for_each(|(bytes, lane)| bytes.copy_from_slice(&lane.to_le_bytes()));
    let result = Digest::new(&bytes);
    bytes.zeroize();
    sum.zeroize();
    result
}

fn lane_of(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |lane, byte| lane << 8 | u64::from(*byte))
}

// Initial states, FIPS 180-4 §5.3.
const SHA_1: [u32; 5] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
const SHA_224: [u32; 8] =
    [0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7, 0xbefa4fa4];
const SHA_256: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
const SHA_384: [u64; 8] = [
    0xcbbb9d5dc1059ed8,
    0x629a292a367cd507,
    0x9159015a3070dd17,
    0x152fecd8f70e5939,
    0x67332667ffc00b31,
    0x8eb44a8768581511,
    0xdb0c2e0d64f98fa7,
    0x47b5481dbefa4fa4,
];
const SHA_512: [u64; 8] = [
    0x6a09e667f3bcc908,
    0xbb67ae8584caa73b,
    0x3c6ef372fe94f82b,
    0xa54ff53a5f1d36f1,
    0x510e527fade682d1,
    0x9b05688c2b3e6c1f,
    0x1f83d9abfb41bd6b,
    0x5be0cd19137e2179,
];

#[cfg(test)]
mod tests {
    use super::super::hash::unhex;
    use super::*;

    /// RFC 6070 §2. Outputs that are longer or shorter than one block are compared up to the shorter length.
    #[test]
    fn rfc_6070() {
        let long = b"passwordPASSWORDpassword";
        let long_salt = b"saltSALTsaltSALTsaltSALTsaltSALTsalt";
        for (password, salt, iterations, expected) in [
            (&b"password"[..], &b"salt"[..], 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
            (b"password", b"salt", 2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"),
            (b"password", b"salt", 4096, "4b007901b765489abead49d926f721d065a429c1"),
            (long, long_salt, 4096, "3d2eec4fe41c849b80c8d83662c0e44a8b291a96"),
            (b"pass\0word", b"sa\0lt", 4096, "56fa6aa75548099dcc37d7f03425e0c3"),
        ] {
            let expected = unhex(expected);
            assert_eq!(derive(Hash::Sha1, password, salt, iterations)[..expected.len()], expected);
        }
    }

    /// RFC 7914 §11, the first block of each.
    #[test]
    fn rfc_7914_section_11() {
        for (password, salt, iterations, expected) in [
            (&b"passwd"[..], &b"salt"[..], 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"),
            (b"Password", b"NaCl", 80000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"),
        ] {
            assert_eq!(*derive(Hash::Sha256, password, salt, iterations), unhex(expected));
        }
    }

    /// Computed with OpenSSL 3 (Python's `hashlib.pbkdf2_hmac`), the first 12 bytes: keys of the
    /// lengths around each hash's block, salt `0123456789abcdef`, 7 iterations.
    #[test]
    fn keys_around_the_block_length() {
        for (hash, length, expected) in [
            (Hash::Sha1, 6, "cf0a9d0853929f2018322e08"),
            (Hash::Sha1, 63, "42d25ea13eeda026f86670a2"),
            (Hash::Sha1, 64, "3782f37f5183cf0ba9ede9d1"),
            (Hash::Sha1, 65, "b2d14ef7a0c96b4620c82a22"),
            (Hash::Sha1, 71, "6dab983852ecc5367dbd4c76"),
            (Hash::Sha1, 72, "b0fe9aef7a6ac0ec0365ebe2"),
            (Hash::Sha1, 73, "8ea431ae2e95864d420ad014"),
            (Hash::Sha1, 127, "99575343ef4b854a79972af9"),
            (Hash::Sha1, 128, "435af66550a94053564374ae"),
            (Hash::Sha1, 129, "92d5b4b6bdd97bb9be192f2a"),
            (Hash::Sha1, 200, "78649f277738397c249a7c20"),
            (Hash::Sha224, 6, "86ee6396f8d74206a31906ae"),
            (Hash::Sha224, 63, "0bc0b44068a4fd36232598f1"),
            (Hash::Sha224, 64, "bb693b45d6580bf6caa260cc"),
            (Hash::Sha224, 65, "eec92175799a5ab8b1d56205"),
            (Hash::Sha224, 71, "2317cc8679f8ab4934c1867d"),
            (Hash::Sha224, 72, "8ad04bd036d6358f312a077e"),
            (Hash::Sha224, 73, "6cc65c193ee99cc4f3485f69"),
            (Hash::Sha224, 127, "c1c8b7a8ccae9e6875fe31d0"),
            (Hash::Sha224, 128, "c3e71ebae72e48ce08fd4300"),
            (Hash::Sha224, 129, "d78fbaf0b6b6bb7c4e6b15fa"),
            (Hash::Sha224, 200, "d7caa8279f4a74c330d5dc41"),
            (Hash::Sha256, 6, "4bc2cfc2dea982bd66cdb5d5"),
            (Hash::Sha256, 63, "53d8f14eef54c322f92ecbbf"),
            (Hash::Sha256, 64, "a9618ae798f357b97a42b241"),
            (Hash::Sha256, 65, "59cefac475c07d83bda5b906"),
            (Hash::Sha256, 71, "067eb77b972f4beee4d5c81d"),
            (Hash::Sha256, 72, "c1a423736daa21ccd14a6ef0"),
            (Hash::Sha256, 73, "afcd5ec5105a7c8b9937920d"),
            (Hash::Sha256, 127, "46d4660f6b0ac0abd65cf95e"),
            (Hash::Sha256, 128, "2f3d0144e46ccbb1b8f63fed"),
            (Hash::Sha256, 129, "74b831bdc34ef3da8183e426"),
            (Hash::Sha256, 200, "330c9ed8d12f6c969434e602"),
            (Hash::Sha384, 6, "d279f154ff58e88a9b9e5faf"),
            (Hash::Sha384, 63, "c985122c615f6c6948dc99fa"),
            (Hash::Sha384, 64, "cf471bc0186a4de5eebe6769"),
            (Hash::Sha384, 65, "10e06fd4fe9fbdbe834cd270"),
            (Hash::Sha384, 71, "6d73a2a0434d0048a3a752df"),
            (Hash::Sha384, 72, "8ead03590231d73c72ce16e0"),
            (Hash::Sha384, 73, "ab23d500e30e0c7b205b3354"),
            (Hash::Sha384, 127, "697de12b5094167dfb035d63"),
            (Hash::Sha384, 128, "d60e71e1b47eb578b5afd830"),
            (Hash::Sha384, 129, "21e36e114664df44ac79b5ad"),
            (Hash::Sha384, 200, "dd04e17b0269c756f3e9b5e9"),
            (Hash::Sha512, 6, "30ab3de8fa9bc748e7ff2560"),
            (Hash::Sha512, 63, "6c84a0000dba260ce2f1de07"),
            (Hash::Sha512, 64, "337590b9c81b2d803b64e6d0"),
            (Hash::Sha512, 65, "ac4d68955368fba0ddb60127"),
            (Hash::Sha512, 71, "8ae7682ad07f020acc766c4a"),
            (Hash::Sha512, 72, "8fce1d22bc9f21b3ad172f9b"),
            (Hash::Sha512, 73, "4af58040c7f3be2aaa6a0744"),
            (Hash::Sha512, 127, "2168c389f7b5f87ef52171a2"),
            (Hash::Sha512, 128, "c11ecd2a970097c0dc504d06"),
            (Hash::Sha512, 129, "ea90f7ae59cd54c0f8d13f81"),
            (Hash::Sha512, 200, "cf342e8a1eba637643fae525"),
            (Hash::Sha3_512, 6, "b4f1dbcb60e46f2b6be54747"),
            (Hash::Sha3_512, 63, "15463b070ea6bf68dad53b37"),
            (Hash::Sha3_512, 64, "5d218f428bed65a8b012e549"),
            (Hash::Sha3_512, 65, "97107a616126c751f596f700"),
            (Hash::Sha3_512, 71, "a9daed8e289271f3f35e5f07"),
            (Hash::Sha3_512, 72, "f4c362f347b5513489032a0c"),
            (Hash::Sha3_512, 73, "16d3d8d82ee02771e679c75b"),
            (Hash::Sha3_512, 127, "7cc0985201d471a2e77a1f6a"),
            (Hash::Sha3_512, 128, "95ce877303a0e87700be03a1"),
            (Hash::Sha3_512, 129, "f2d36ec592c6336d1b375f79"),
            (Hash::Sha3_512, 200, "68362e381467a61f15a2517f"),
        ] {
            let key = if length == 6 { b"pencil".to_vec() } else { vec![b'k'; length] };
            let derived = derive(hash, &key, b"0123456789abcdef", 7);
            assert_eq!(derived.len(), hash.size());
            assert_eq!(derived[..12], unhex(expected), "{hash:?} {length}");
        }
    }

    /// Computed with OpenSSL 3 (Python's `hashlib.pbkdf2_hmac`): `pencil`, salt `0123456789abcdef`, 4096.
    #[test]
    fn whole_outputs() {
        for (hash, expected) in [
            (Hash::Sha1, "3d67f1f0309a95afd1772e0ef7da1b08562c9f83"),
            (Hash::Sha224, "919e7ffb9d7979bb80361063561f9cb86b709959e46df04c14ed9ba0"),
            (Hash::Sha256, "15b752a5d5669f38225fd988fdc5be2f9a0670b595affb2bbaeb554701ebdf28"),
            (
                Hash::Sha384,
                "9dce2fe01d4e92a43dff7f213675b0ebee9edb1f5a9cb23680eb76edc7db94d7\
                 2393516be5f4cc61ac656d6bf33fab13",
            ),
            (
                Hash::Sha512,
                "971d3d223665be9834bea1dc13d29e44b1d2cf474761b396f1ff9a0c36c99f29\
                 699c602ee14f84ef99c1868337681b6eca16c7212be571d8e91f0dc13165eca7",
            ),
            (
                Hash::Sha3_512,
                "4732610d53b15b37116fef5961ef2744be119f0bf83f73a29b48af2623e12d54\
                 33d2dc8fccd0819bdbd5cd0741424f6ae065adf700bd31b40704baae86f59ef7",
            ),
        ] {
            assert_eq!(*derive(hash, b"pencil", b"0123456789abcdef", 4096), unhex(expected), "{hash:?}");
        }
    }

    #[test]
    fn no_iterations_count_as_one() {
        for hash in Hash::ALL {
            assert_eq!(*derive(hash, b"p", b"s", 0), *derive(hash, b"p", b"s", 1));
        }
    }
}
