//! HMAC-MD5 (RFC 2104, RFC 1321) with a prepared key, for many short messages.
//!
//! The compression function is our own, since that of the `md-5` crate leaves more than a tenth of
//! OpenSSL's speed unused: MD5 is one long chain of dependent operations, so what does not depend on
//! the step before is summed up first, and round two adds its two halves, which share no bit,
//! where RFC 1321 says *or*. Tests compare with that crate.

use std::hint::black_box;

use zeroize::Zeroize;

pub(crate) type State = [u32; 4];

pub(crate) const START: State = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];

/// A key, hashed in.
pub struct HmacMd5 {
    pub(super) inner: State,
    outer: State,
}

impl HmacMd5 {
    /// Prepares a key of sixteen bytes.
    pub fn new(key: &[u8; 16]) -> Self {
        let prepared = |pad: u8| {
            let mut block = [pad; 64];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut state = START;
            compress(&mut state, &block);
            block.zeroize();
            state
        };
        HmacMd5 { inner: prepared(0x36), outer: prepared(0x5C) }
    }

    /// The code of `prefix` and `message` together.
    pub fn of(&self, prefix: [u8; 4], message: &[u8]) -> [u8; 16] {
        let mut state = self.inner;
        let mut block = [0; 64];
        block[..4].copy_from_slice(&prefix);
        let head = message.len().min(60);
        block[4..4 + head].copy_from_slice(&message[..head]);
        let mut used = 4 + head;
        if used == 64 {
            compress(&mut state, &block);
            let mut blocks = message[head..].chunks_exact(64);
            for whole in &mut blocks {
                compress(&mut state, whole);
            }
            used = blocks.remainder().len();
            block[..used].copy_from_slice(blocks.remainder());
        }
        self.end(state, &mut block, used, message.len())
    }

    /// Both hashes' ends: `used` bytes of the last block are the message's.
    pub(super) fn end(&self, mut state: State, block: &mut [u8; 64], used: usize, length: usize) -> [u8; 16] {
        finish(&mut state, block, used, 4 + length as u64);
        let inner = bytes(&state);
        let mut state = self.outer;
        block[..16].copy_from_slice(&inner);
        finish(&mut state, block, 16, 16);
        bytes(&state)
    }
}

/// Pads the `used` bytes of the last block; `length` counts what follows the block of the key.
fn finish(state: &mut State, block: &mut [u8; 64], used: usize, length: u64) {
    block[used] = 0x80;
    block[used + 1..].fill(0);
    if used >= 56 {
        compress(state, block);
        block.fill(0);
    }
    block[56..].copy_from_slice(&((64 + length) * 8).to_le_bytes());
    compress(state, block);
}

fn bytes(state: &State) -> [u8; 16] {
    let mut out = [0; 16];
    out.chunks_exact_mut(4).zip(state).for_each(|(four, word)| four.copy_from_slice(&word.to_le_bytes()));
    out
}

/// The whole parts of 2^32 times |sin(n)|, n from 1 (RFC 1321 §3.4).
static T: [u32; 64] = [
    0xD76A_A478,
    0xE8C7_B756,
    0x2420_70DB,
    0xC1BD_CEEE,
    0xF57C_0FAF,
    0x4787_C62A,
    0xA830_4613,
    0xFD46_9501,
    0x6980_98D8,
    0x8B44_F7AF,
    0xFFFF_5BB1,
    0x895C_D7BE,
    0x6B90_1122,
    0xFD98_7193,
    0xA679_438E,
    0x49B4_0821,
    0xF61E_2562,
    0xC040_B340,
    0x265E_5A51,
    0xE9B6_C7AA,
    0xD62F_105D,
    0x0244_1453,
    0xD8A1_E681,
    0xE7D3_FBC8,
    0x21E1_CDE6,
    0xC337_07D6,
    0xF4D5_0D87,
    0x455A_14ED,
    0xA9E3_E905,
    0xFCEF_A3F8,
    0x676F_02D9,
    0x8D2A_4C8A,
    0xFFFA_3942,
    0x8771_F681,
    0x6D9D_6122,
    0xFDE5_380C,
    0xA4BE_EA44,
    0x4BDE_CFA9,
    0xF6BB_4B60,
    0xBEBF_BC70,
    0x289B_7EC6,
    0xEAA1_27FA,
    0xD4EF_3085,
    0x0488_1D05,
    0xD9D4_D039,
    0xE6DB_99E5,
    0x1FA2_7CF8,
    0xC4AC_5665,
    0xF429_2244,
    0x432A_FF97,
    0xAB94_23A7,
    0xFC93_A039,
    0x655B_59C3,
    0x8F0C_CC92,
    0xFFEF_F47D,
    0x8584_5DD1,
    0x6FA8_7E4F,
    0xFE2C_E6E0,
    0xA301_4314,
    0x4E08_11A1,
    0xF753_7E82,
    0xBD3A_F235,
    0x2AD7_D2BB,
    0xEB86_D391,
];

/// One step of RFC 1321 §3.4: `a = b + ((a + F(b, c, d) + X[k] + T[i]) <<< s)`.
macro_rules! step {
    (f, $sum:expr, $b:ident, $c:ident, $d:ident) => {
        $sum.wrapping_add($d ^ ($b & ($c ^ $d)))
    };
    (g, $sum:expr, $b:ident, $c:ident, $d:ident) => {
        $sum.wrapping_add($c & !$d).wrapping_add($b & $d)
    };
    (h, $sum:expr, $b:ident, $c:ident, $d:ident) => {
        $sum.wrapping_add($b ^ ($c ^ $d))
    };
    (i, $sum:expr, $b:ident, $c:ident, $d:ident) => {
        $sum.wrapping_add($c ^ ($b | !$d))
    };
    ($f:ident, $a:ident, $b:ident, $c:ident, $d:ident, $x:expr, $t:expr, $shift:expr) => {
        $a = step!($f, $a.wrapping_add($x).wrapping_add($t), $b, $c, $d).rotate_left($shift).wrapping_add($b)
    };
}

/// Sixteen steps: word `start + k * stride` of the block goes into step k.
macro_rules! round {
    ($f:ident, [$a:ident, $b:ident, $c:ident, $d:ident], $x:ident, $start:literal, $stride:literal, $t:expr, $shifts:expr, $beside:expr) => {
        for k in 0..4 {
            let word = |n: usize| $x[($start + (4 * k + n) * $stride) % 16];
            step!($f, $a, $b, $c, $d, word(0), $t[4 * k], $shifts[0]);
            step!($f, $d, $a, $b, $c, word(1), $t[4 * k + 1], $shifts[1]);
            step!($f, $c, $d, $a, $b, word(2), $t[4 * k + 2], $shifts[2]);
            step!($f, $b, $c, $d, $a, word(3), $t[4 * k + 3], $shifts[3]);
            $beside(k);
        }
    };
}

/// Takes one block of 64 bytes.
pub(crate) fn compress(state: &mut State, block: &[u8]) {
    compress_beside(state, block, |_| {});
}

/// Takes one block, and does something else sixteen times in between: the chain of dependent steps leaves the
/// processor idle enough for work that does not depend on it.
#[inline(always)]
pub(super) fn compress_beside(state: &mut State, block: &[u8], mut beside: impl FnMut(usize)) {
    let mut x = [0; 16];
    for (word, four) in x.iter_mut().zip(block.chunks_exact(4)) {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(four);
        *word = u32::from_le_bytes(bytes);
    }
    // The compiler must not see constants: it would add them last, on the chain of dependent steps.
    let t = black_box(&T);
    let [mut a, mut b, mut c, mut d] = *state;
    round!(f, [a, b, c, d], x, 0, 1, t[..16], [7, 12, 17, 22], beside);
    round!(g, [a, b, c, d], x, 1, 5, t[16..32], [5, 9, 14, 20], |k| beside(4 + k));
    round!(h, [a, b, c, d], x, 5, 3, t[32..48], [4, 11, 16, 23], |k| beside(8 + k));
    round!(i, [a, b, c, d], x, 0, 7, t[48..], [6, 10, 15, 21], |k| beside(12 + k));
    let new = [a, b, c, d];
    state.iter_mut().zip(new).for_each(|(old, new)| *old = old.wrapping_add(new));
}

impl Drop for HmacMd5 {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};

    /// Every length around the limits of blocks, against the md-5 and hmac crates.
    #[test]
    fn as_the_crates_compute_it() {
        let key: [u8; 16] = *b"sixteen byte key";
        let message: Vec<u8> = (0..700).map(|n| (n * 7 % 251) as u8).collect();
        let ours = HmacMd5::new(&key);
        for length in 0..message.len() {
            let mut theirs = <Hmac<md5::Md5> as KeyInit>::new_from_slice(&key).unwrap();
            theirs.update(b"head");
            theirs.update(&message[..length]);
            assert_eq!(ours.of(*b"head", &message[..length])[..], theirs.finalize().into_bytes()[..], "{length}");
        }
    }

    /// RFC 2202 §2, test case 1, its message parted as a sequence number and text.
    #[test]
    fn rfc_2202() {
        let code = HmacMd5::new(&[0x0B; 16]).of(*b"Hi T", b"here");
        assert_eq!(code[..4], [0x92, 0x94, 0x72, 0x7A]);
        assert_eq!(code[12..], [0x15, 0x8B, 0xFC, 0x9D][..]);
    }
}
