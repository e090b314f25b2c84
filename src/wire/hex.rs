//! Lower-case hexadecimal digits, in which CRAM-MD5 and DIGEST-MD5 send digests.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A digest as 32 lower-case hexadecimal digits.
pub fn print(digest: &[u8; 16]) -> [u8; 32] {
    let mut out = [0; 32];
    for (pair, byte) in out.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    out
}

/// The digits of a digest as received, if they are 32 lower-case hexadecimal digits.
pub fn digits(text: &[u8]) -> Option<[u8; 32]> {
    let text: [u8; 32] = text.try_into().ok()?;
    text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_lower_case_and_of_full_length() {
        let digest: [u8; 16] = std::array::from_fn(|i| (i * 17) as u8);
        let text = print(&digest);
        assert_eq!(&text, b"00112233445566778899aabbccddeeff");
        assert_eq!(digits(&text), Some(text));
        for wrong in [
            "",
            "0",
            "00112233445566778899AABBCCDDEEFF",
            "00112233445566778899aabbccddeef",
            "0x112233445566778899aabbccddeeff",
        ] {
            assert_eq!(digits(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
