//! RC4, for DIGEST-MD5's layers.
//!
//! Own code, since the `rc4` crate is half as fast. Nobody should
//! choose RC4 today; old peers do.

use zeroize::Zeroize;

/// The state of one direction's key stream.
pub struct Rc4 {
    /// Bytes, in words: a byte's store that is followed by a load of its word would be slow.
    state: [u32; 256],
    i: u32,
    j: u32,
}

impl Rc4 {
    /// Starts the key stream; an empty key counts as one of a zero byte.
    pub fn new(key: &[u8]) -> Self {
        let mut state = [0; 256];
        (0..).zip(&mut state).for_each(|(n, word)| *word = n);
        let mut j = 0u8;
        for i in 0..=255u8 {
            let letter = key.get(usize::from(i) % key.len().max(1)).copied().unwrap_or(0);
            j = j.wrapping_add(state[usize::from(i)] as u8).wrapping_add(letter);
            state.swap(usize::from(i), usize::from(j));
        }
        Rc4 { state, i: 0, j: 0 }
    }

    /// Encrypts or decrypts in place.
    pub fn apply(&mut self, message: &mut [u8]) {
        let mut stream = self.stream();
        let mut words = message.chunks_exact_mut(4);
        for word in &mut words {
            let keys = stream.four().to_le_bytes();
            word.iter_mut().zip(keys).for_each(|(byte, key)| *byte ^= key);
        }
        for byte in words.into_remainder() {
            *byte ^= stream.next() as u8;
        }
        stream.end();
    }

    /// The key stream from here on; [`Stream::end`] says how far it was used.
    #[inline(always)]
    pub(super) fn stream(&mut self) -> Stream<'_> {
        let (i, j) = (self.i, self.j);
        Stream { rc4: self, i, j }
    }
}

/// A key stream that is being made. The counters are variables of their own: in one piece of memory with the
/// state, the compiler cannot tell them from its bytes.
pub(super) struct Stream<'a> {
    rc4: &'a mut Rc4,
    i: u32,
    j: u32,
}

impl Stream<'_> {
    /// The next byte.
    #[inline(always)]
    fn next(&mut self) -> u32 {
        let state = &mut self.rc4.state;
        self.i = (self.i + 1) & 255;
        let x = state[(self.i & 255) as usize];
        self.j = (self.j + x) & 255;
        let y = state[(self.j & 255) as usize];
        state[(self.i & 255) as usize] = y;
        state[(self.j & 255) as usize] = x;
        state[((x + y) & 255) as usize]
    }

    /// The next four bytes, the first one being the lowest.
    #[inline(always)]
    pub(super) fn four(&mut self) -> u32 {
        self.next() | self.next() << 8 | self.next() << 16 | self.next() << 24
    }

    /// Goes on from here the next time.
    #[inline(always)]
    pub(super) fn end(self) {
        self.rc4.i = self.i;
        self.rc4.j = self.j;
    }
}

impl Drop for Rc4 {
    fn drop(&mut self) {
        self.state.zeroize();
        self.i.zeroize();
        self.j.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash::unhex;

    /// RFC 6229 §2, at offsets 0 and 240 of the key stream, for keys of 40, 56 and 128 bits.
    #[test]
    fn rfc_6229() {
        for (key, start, later) in [
            ("0102030405", "b2396305f03dc027ccc3524a0a1118a8", "28cb1132c96ce286421dcaadb8b69eae"),
            ("01020304050607", "293f02d47f37c9b633f2af5285feb46b", "914f02531c9218810df60f67e338154c"),
            (
                "0102030405060708090a0b0c0d0e0f10",
                "9ac7cc9a609d1ef7b2932899cde41b97",
                "065902e4b620f6cc36c8589f66432f2b",
            ),
        ] {
            let mut stream = vec![0; 256];
            Rc4::new(&unhex(key)).apply(&mut stream);
            assert_eq!(stream[..16], unhex(start));
            assert_eq!(stream[240..], unhex(later));
            // In pieces of any length it is the same stream.
            let (mut pieces, mut rc4) = (vec![0; 256], Rc4::new(&unhex(key)));
            pieces.chunks_mut(13).for_each(|piece| rc4.apply(piece));
            assert_eq!(pieces, stream);
        }
    }
}
