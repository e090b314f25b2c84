//! DES and triple DES with two keys, in CBC mode (FIPS 46-3, FIPS 81), for DIGEST-MD5's layers.
//!
//! Own code, since the `des` crate reaches a third of OpenSSL's speed: here a round is eight
//! look-ups in tables of S-box and permutation P together, and triple DES permutes once and not
//! three times. Nobody should choose DES today; old peers do.

use zeroize::{Zeroize, Zeroizing};

/// Length of a block, in bytes.
pub const BLOCK: usize = 8;

/// The S-boxes, each as four rows of sixteen (FIPS 46-3, appendix 1).
const S: [[u8; 64]; 8] = [
    [
        14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7, 0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12, 11, 9, 5, 3, 8, 4,
        1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0, 15, 12, 8, 2, 4, 9, 1, 7, 5, 11, 3, 14, 10, 0, 6, 13,
    ],
    [
        15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10, 3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1, 10, 6, 9, 11, 5, 0,
        14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15, 13, 8, 10, 1, 3, 15, 4, 2, 11, 6, 7, 12, 0, 5, 14, 9,
    ],
    [
        10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8, 13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5, 14, 12, 11, 15, 1, 13,
        6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7, 1, 10, 13, 0, 6, 9, 8, 7, 4, 15, 14, 3, 11, 5, 2, 12,
    ],
    [
        7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15, 13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2, 12, 1, 10, 14, 9, 10,
        6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4, 3, 15, 0, 6, 10, 1, 13, 8, 9, 4, 5, 11, 12, 7, 2, 14,
    ],
    [
        2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9, 14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15, 10, 3, 9, 8, 6, 4,
        2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14, 11, 8, 12, 7, 1, 14, 2, 13, 6, 15, 0, 9, 10, 4, 5, 3,
    ],
    [
        12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11, 10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13, 14, 0, 11, 3, 8, 9,
        14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6, 4, 3, 2, 12, 9, 5, 15, 10, 11, 14, 1, 7, 6, 0, 8, 13,
    ],
    [
        4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1, 13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5, 12, 2, 15, 8, 6, 1,
        4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2, 6, 11, 13, 8, 1, 4, 10, 7, 9, 5, 0, 15, 14, 2, 3, 12,
    ],
    [
        13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7, 1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6, 11, 0, 14, 9, 2, 7,
        11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8, 2, 1, 14, 7, 4, 10, 8, 13, 15, 12, 9, 0, 3, 5, 6, 11,
    ],
];

/// Permutation P: bit n of its output is this bit of its input, counted from 1 at the left.
const P: [u8; 32] = [
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4,
    25,
];

const PC1: [u8; 56] = [
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36, 63, 55,
    47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
];

const PC2: [u8; 48] = [
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47, 55, 30,
    40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];

const SHIFTS: [u32; 16] = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];

/// S-box and P together; the index holds the six bits as they come, the result is turned left by
/// one, as both halves are throughout the rounds.
static SP: [[u32; 64]; 8] = combined();

const fn combined() -> [[u32; 64]; 8] {
    let mut table = [[0; 64]; 8];
    let mut n = 0;
    while n < 8 {
        let mut six = 0;
        while six < 64 {
            let row = (six >> 4 & 2) | (six & 1);
            let word = (S[n][row << 4 | (six >> 1 & 15)] as u32) << (28 - 4 * n);
            let mut out = 0;
            let mut bit = 0;
            while bit < 32 {
                out = out << 1 | (word >> (32 - P[bit] as u32) & 1);
                bit += 1;
            }
            table[n][six] = out.rotate_left(1);
            six += 1;
        }
        n += 1;
    }
    table
}

/// Seven bytes of `key` from `start` as a DES key of eight, the parity bits being zero. Bytes beyond the
/// end count as zero.
pub fn spread(key: &[u8], start: usize) -> Zeroizing<[u8; 8]> {
    let byte = |n: usize| u64::from(key.get(start + n).copied().unwrap_or(0));
    let bits = (0..7).fold(0, |bits, n| bits << 8 | byte(n));
    let mut spread = Zeroizing::new([0; 8]);
    spread.iter_mut().zip(0..).for_each(|(out, n)| *out = (bits >> (49 - 7 * n) << 1) as u8);
    spread
}

fn permute(word: u64, width: u32, table: &[u8]) -> u64 {
    table.iter().fold(0, |out, &bit| out << 1 | (word >> (width - u32::from(bit)) & 1))
}

/// Round keys: of each round the six-bit groups 1, 3, 5, 7 and the groups 2, 4, 6, 8, placed as
/// the rounds use them.
type Schedule = [[u32; 2]; 16];

/// The parity bits of the key are not looked at.
fn schedule(key: &[u8; 8]) -> Schedule {
    let chosen = permute(u64::from_be_bytes(*key), 64, &PC1);
    let (mut c, mut d) = (chosen >> 28, chosen & 0xFFF_FFFF);
    SHIFTS.map(|shift| {
        for half in [&mut c, &mut d] {
            *half = (*half << shift | *half >> (28 - shift)) & 0xFFF_FFFF;
        }
        let key = permute(c << 28 | d, 56, &PC2);
        let group = |n: u32| (key >> (42 - 6 * n) & 63) as u32;
        [
            group(0) << 24 | group(2) << 16 | group(4) << 8 | group(6),
            group(1) << 24 | group(3) << 16 | group(5) << 8 | group(7),
        ]
    })
}

/// One round's function. The half is turned left by one, so that the bits that expansion E gives to S-boxes
/// 2, 4, 6, 8 stand in the low six bits of each byte; turned right by four, those of 1, 3, 5, 7.
#[inline(always)]
fn feistel(half: u32, key: &[u32; 2]) -> u32 {
    let odd = half.rotate_right(4) ^ key[0];
    let even = half ^ key[1];
    let look = |n: usize, word: u32, shift: u32| SP[n][(word >> shift & 63) as usize];
    (look(0, odd, 24) ^ look(2, odd, 16) ^ look(4, odd, 8) ^ look(6, odd, 0))
        ^ (look(1, even, 24) ^ look(3, even, 16) ^ look(5, even, 8) ^ look(7, even, 0))
}

#[inline(always)]
fn swap(a: &mut u32, b: &mut u32, shift: u32, mask: u32) {
    let moved = (*a >> shift ^ *b) & mask;
    *b ^= moved;
    *a ^= moved << shift;
}

/// The initial permutation, then both halves turned left by one.
#[inline(always)]
fn enter(block: u64) -> [u32; 2] {
    let (mut left, mut right) = ((block >> 32) as u32, block as u32);
    swap(&mut left, &mut right, 4, 0x0F0F_0F0F);
    swap(&mut left, &mut right, 16, 0x0000_FFFF);
    swap(&mut right, &mut left, 2, 0x3333_3333);
    swap(&mut right, &mut left, 8, 0x00FF_00FF);
    swap(&mut left, &mut right, 1, 0x5555_5555);
    [left.rotate_left(1), right.rotate_left(1)]
}

/// Undoes [`enter`].
#[inline(always)]
fn leave(halves: [u32; 2]) -> u64 {
    let (mut left, mut right) = (halves[0].rotate_right(1), halves[1].rotate_right(1));
    swap(&mut left, &mut right, 1, 0x5555_5555);
    swap(&mut right, &mut left, 8, 0x00FF_00FF);
    swap(&mut right, &mut left, 2, 0x3333_3333);
    swap(&mut left, &mut right, 16, 0x0000_FFFF);
    swap(&mut left, &mut right, 4, 0x0F0F_0F0F);
    u64::from(left) << 32 | u64::from(right)
}

/// Sixteen rounds and the swap of the halves, on several blocks at once.
#[inline(always)]
fn rounds<const N: usize>(blocks: &mut [[u32; 2]; N], keys: &Schedule) {
    for pair in keys.chunks_exact(2) {
        for [left, right] in blocks.iter_mut() {
            *left ^= feistel(*right, &pair[0]);
        }
        for [left, right] in blocks.iter_mut() {
            *right ^= feistel(*left, &pair[1]);
        }
    }
    for block in blocks {
        block.swap(0, 1);
    }
}

/// The eight bytes of a block.
#[inline(always)]
fn word(block: &[u8]) -> u64 {
    let mut bytes = [0; BLOCK];
    bytes.copy_from_slice(block);
    u64::from_be_bytes(bytes)
}

/// One direction of a cipher in CBC mode. The last block of one message is the initialization
/// vector of the next.
pub struct Cbc<const PASSES: usize> {
    encrypt: [Schedule; PASSES],
    decrypt: [Schedule; PASSES],
    vector: u64,
}

/// Single DES.
pub type Des = Cbc<1>;
/// Triple DES: encrypt, decrypt, encrypt.
pub type TripleDes = Cbc<3>;

impl<const PASSES: usize> Drop for Cbc<PASSES> {
    fn drop(&mut self) {
        self.encrypt.zeroize();
        self.decrypt.zeroize();
        self.vector.zeroize();
    }
}

fn reversed(schedule: &Schedule) -> Schedule {
    let mut schedule = *schedule;
    schedule.reverse();
    schedule
}

impl Des {
    /// DES with a key of eight bytes.
    pub fn new(key: &[u8; 8], vector: &[u8; 8]) -> Self {
        let keys = schedule(key);
        Cbc { encrypt: [keys], decrypt: [reversed(&keys)], vector: u64::from_be_bytes(*vector) }
    }
}

impl TripleDes {
    /// Triple DES with two keys, the first serving twice.
    pub fn new(first: &[u8; 8], second: &[u8; 8], vector: &[u8; 8]) -> Self {
        let (first, second) = (schedule(first), schedule(second));
        Cbc {
            encrypt: [first, reversed(&second), first],
            decrypt: [reversed(&first), second, reversed(&first)],
            vector: u64::from_be_bytes(*vector),
        }
    }
}

impl<const PASSES: usize> Cbc<PASSES> {
    /// Encrypts whole blocks in place; bytes after the last whole block stay as they are.
    pub fn encrypt(&mut self, message: &mut [u8]) {
        let mut vector = self.vector;
        for block in message.chunks_exact_mut(BLOCK) {
            let mut halves = [enter(word(block) ^ vector)];
            for keys in &self.encrypt {
                rounds(&mut halves, keys);
            }
            vector = leave(halves[0]);
            block.copy_from_slice(&vector.to_be_bytes());
        }
        self.vector = vector;
    }

    /// Decrypts whole blocks in place; bytes after the last whole block stay as they are.
    pub fn decrypt(&mut self, message: &mut [u8]) {
        let mut pairs = message.chunks_exact_mut(2 * BLOCK);
        for pair in &mut pairs {
            self.decrypt_blocks::<2>(pair);
        }
        for block in pairs.into_remainder().chunks_exact_mut(BLOCK) {
            self.decrypt_blocks::<1>(block);
        }
    }

    /// Blocks decrypt independently of each other: two at once take little longer than one.
    #[inline(always)]
    fn decrypt_blocks<const N: usize>(&mut self, bytes: &mut [u8]) {
        let mut sealed = [0; N];
        sealed.iter_mut().zip(bytes.chunks_exact(BLOCK)).for_each(|(sealed, block)| *sealed = word(block));
        let mut halves = sealed.map(enter);
        for keys in &self.decrypt {
            rounds(&mut halves, keys);
        }
        for ((block, sealed), halves) in bytes.chunks_exact_mut(BLOCK).zip(sealed).zip(halves) {
            block.copy_from_slice(&(leave(halves) ^ self.vector).to_be_bytes());
            self.vector = sealed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash::unhex;

    /// A worked example that many texts on DES print (J. Orlin Grabbe), and the all-zero case of NBS Special
    /// Publication 500-20.
    #[test]
    fn single_blocks() {
        for (key, plain, sealed) in [
            ("133457799BBCDFF1", "0123456789ABCDEF", "85E813540F0AB405"),
            ("0101010101010101", "8000000000000000", "95F8A5E5DD31D900"),
            ("0101010101010101", "0000000000000001", "166B40B44ABA4BD6"),
        ] {
            let key: [u8; 8] = unhex(key).try_into().unwrap();
            let mut block = unhex(plain);
            Des::new(&key, &[0; 8]).encrypt(&mut block);
            assert_eq!(block, unhex(sealed));
            TripleDes::new(&key, &key, &[0; 8]).decrypt(&mut block);
            assert_eq!(block, unhex(plain));
        }
    }

    /// Cut anywhere between blocks, a message gives the same bytes, and they come back.
    #[test]
    fn the_vector_is_carried_over() {
        let message: Vec<u8> = (0..72).collect();
        let new = || TripleDes::new(b"first ke", b"second k", b"a vector");
        let mut whole = message.clone();
        new().encrypt(&mut whole);
        for cut in (0..=72).step_by(8) {
            let (mut sealer, mut opener, mut parts) = (new(), new(), message.clone());
            let (head, tail) = parts.split_at_mut(cut);
            sealer.encrypt(head);
            sealer.encrypt(tail);
            assert_eq!(parts, whole);
            let (head, tail) = parts.split_at_mut(cut);
            opener.decrypt(head);
            opener.decrypt(tail);
            assert_eq!(parts, message);
        }
    }

    #[test]
    fn a_key_is_spread_over_eight_bytes() {
        assert_eq!(*spread(&[0xFF; 7], 0), [0xFE; 8]);
        assert_eq!(*spread(&[0, 0x80, 0, 0, 0, 0, 0, 1], 1), [0x80, 0, 0, 0, 0, 0, 0, 2]);
    }
}
