//! Bytes that are zeroized when dropped, compared in constant time, and never printed.
//!
//! ```
//! use authen_sasl_rust::secret::Secret;
//!
//! let password = Secret::new(b"pencil");
//! assert!(password.ct_eq(b"pencil"));
//! assert!(!format!("{password:?}").contains("pencil"));
//! ```

use std::borrow::Cow;
use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A password, token or key.
///
/// The buffer never grows, so no copy of a shorter secret is left in freed memory. It is zeroized on drop. `Debug` prints
/// only the word *secret*; there is no `Display` and no `==`.
#[derive(Default)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Copies `bytes` into a buffer of exactly their length.
    pub fn new(bytes: &[u8]) -> Self {
        Secret(bytes.into())
    }

    /// The bytes, for computing with them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as UTF-8 text, or `None` if they are not valid UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// True for an empty secret.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares in a time that depends only on the lengths.
    pub fn ct_eq(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }
}

impl From<Vec<u8>> for Secret {
    /// Takes ownership of the bytes. Spare capacity is zeroized before it is freed.
    fn from(mut bytes: Vec<u8>) -> Self {
        if bytes.len() == bytes.capacity() {
            return Secret(bytes.into_boxed_slice());
        }
        let secret = Secret::new(&bytes);
        bytes.zeroize();
        secret
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret::from(text.into_bytes())
    }
}

impl From<Cow<'_, str>> for Secret {
    /// An owned text (such as SASLprep creates) is taken over. A borrowed one is copied.
    fn from(text: Cow<'_, str>) -> Self {
        match text {
            Cow::Owned(text) => Secret::from(text),
            Cow::Borrowed(text) => Secret::new(text.as_bytes()),
        }
    }
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Secret::new(&self.0)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("secret")
    }
}

/// How much of the stack is zeroized: several times what the hash functions, PBKDF2 and the session use.
const WIPED_STACK: usize = 32 << 10;

/// Calls a function, and then zeroizes the part of the stack that the call may have used. Hash functions keep their input
/// in buffers that are moved by value, and each move leaves a copy behind. The result is moved out first.
pub fn wiping_stack<R>(call: impl FnOnce() -> R) -> R {
    let result = deeper(call);
    wipe_below();
    result
}

/// Not inlined, so that its frame begins where the frame of [`wipe_below`] begins.
#[inline(never)]
fn deeper<R>(call: impl FnOnce() -> R) -> R {
    call()
}

#[inline(never)]
fn wipe_below() {
    let mut below = [0u64; WIPED_STACK / size_of::<u64>()];
    below.zeroize();
    std::hint::black_box(&below);
}

/// Compares two byte strings in a time that depends only on their lengths.
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new(b"hunter2")), "secret");
    }

    #[test]
    fn comparison_tells_contents_and_lengths_apart() {
        let secret = Secret::new(b"abc");
        assert!(secret.ct_eq(b"abc"));
        assert!(!secret.ct_eq(b"abd"));
        assert!(!secret.ct_eq(b"ab"));
        assert!(!secret.ct_eq(b""));
    }

    #[test]
    fn spare_capacity_is_given_back() {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(b"abc");
        assert!(Secret::from(bytes).ct_eq(b"abc"));
    }
}
