//! The qualities of protection, and the ciphers of `auth-conf` (RFC 2831 §2.1.1, `qop` and `cipher`).

/// Quality of protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Qop {
    Auth = 1,
    Integrity = 2,
    Confidentiality = 4,
}

impl Qop {
    /// From the weakest to the strongest.
    pub const ALL: [Qop; 3] = [Qop::Auth, Qop::Integrity, Qop::Confidentiality];

    pub fn name(self) -> &'static str {
        match self {
            Qop::Auth => "auth",
            Qop::Integrity => "auth-int",
            Qop::Confidentiality => "auth-conf",
        }
    }

    pub fn find(name: &[u8]) -> Option<Qop> {
        Qop::ALL.into_iter().find(|qop| qop.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// A cipher of `auth-conf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Cipher {
    Rc4 = 1,
    TripleDes = 2,
    Des = 4,
    Rc4With56 = 8,
    Rc4With40 = 16,
}

impl Cipher {
    pub const ALL: [Cipher; 5] = [Cipher::Rc4, Cipher::TripleDes, Cipher::Des, Cipher::Rc4With56, Cipher::Rc4With40];

    pub fn name(self) -> &'static str {
        match self {
            Cipher::Rc4 => "rc4",
            Cipher::TripleDes => "3des",
            Cipher::Des => "des",
            Cipher::Rc4With56 => "rc4-56",
            Cipher::Rc4With40 => "rc4-40",
        }
    }

    /// Strength in bits, as Cyrus SASL counts them.
    pub fn ssf(self) -> u32 {
        match self {
            Cipher::Rc4 => 128,
            Cipher::TripleDes => 112,
            Cipher::Rc4With56 => 56,
            Cipher::Des => 55,
            Cipher::Rc4With40 => 40,
        }
    }

    /// The number of bytes of H(A1) from which its key is derived (RFC 2831 §2.4).
    pub fn key_bytes(self) -> usize {
        match self {
            Cipher::Rc4With40 => 5,
            Cipher::Rc4With56 => 7,
            Cipher::Rc4 | Cipher::TripleDes | Cipher::Des => 16,
        }
    }

    /// True for DES and triple DES, which need padding.
    pub fn is_block(self) -> bool {
        matches!(self, Cipher::Des | Cipher::TripleDes)
    }

    pub fn find(name: &[u8]) -> Option<Cipher> {
        Cipher::ALL.into_iter().find(|cipher| cipher.name().as_bytes().eq_ignore_ascii_case(name))
    }
}
