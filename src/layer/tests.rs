//! The framing, with a minimal layer: a frame is the plaintext and `!`.

use super::*;

struct Plain;

impl SecurityLayer for Plain {
    fn limits(&self) -> LayerLimits {
        LayerLimits { ssf: 1, max_plaintext: 10, max_received: 11 }
    }
    fn room(&self, length: usize) -> usize {
        length + 1
    }
    fn encode(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Error> {
        buffer[length] = b'!';
        Ok(length + 1)
    }
    fn decode(&mut self, frame: &mut [u8]) -> Result<usize, Error> {
        match frame.split_last() {
            Some((b'!', text)) => Ok(text.len()),
            _ => Err(Error::System("damaged")),
        }
    }
}

fn stream() -> Stream {
    Stream::new(Box::new(Plain), Side::Client, "TEST")
}

fn frames(plaintext: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    stream().frame(plaintext, &mut out).unwrap();
    out
}

#[test]
fn plaintext_is_cut_to_frames() {
    assert_eq!(frames(b""), b"");
    assert_eq!(frames(b"abc"), b"\0\0\0\x04abc!");
    assert_eq!(frames(b"0123456789"), b"\0\0\0\x0b0123456789!");
    assert_eq!(frames(b"0123456789abc"), b"\0\0\0\x0b0123456789!\0\0\0\x04abc!");
}

#[test]
fn frames_come_in_any_pieces() {
    let wire = [frames(b"0123456789abc"), b"\0\0\0\x01!".to_vec(), frames(b"xyz")].concat();
    for piece in 1..=wire.len() {
        let mut stream = stream();
        let mut seen = Vec::new();
        for bytes in wire.chunks(piece) {
            stream.feed(bytes).unwrap();
            let half = stream.plaintext().len().div_ceil(2);
            seen.extend_from_slice(&stream.plaintext()[..half]);
            stream.consume(half);
        }
        seen.extend_from_slice(stream.plaintext());
        stream.consume(usize::MAX);
        assert_eq!(seen, b"0123456789abcxyz", "{piece}");
        assert!(!stream.in_frame() && stream.plaintext().is_empty());
    }
}

#[test]
fn a_frame_above_the_limit_costs_no_memory() {
    for length in [12u32, 0x100_0000, u32::MAX] {
        let mut stream = stream();
        stream.feed(&frames(b"before")).unwrap();
        assert!(stream.feed(&length.to_be_bytes()[..3]).is_ok());
        let error = stream.feed(&length.to_be_bytes()[3..]).unwrap_err();
        assert!(matches!(error, Error::Malformed { reason: Malformed::TooLong { limit: 11, .. }, .. }), "{error}");
        assert!(stream.plaintext().is_empty());
    }
}

#[test]
fn an_error_is_the_end() {
    let mut stream = stream();
    let wire = [frames(b"one"), b"\0\0\0\x02x?".to_vec(), frames(b"two")].concat();
    assert_eq!(stream.feed(&wire), Err(Error::System("damaged")));
    for _ in 0..2 {
        assert!(stream.plaintext().is_empty());
        assert_eq!(stream.feed(&frames(b"two")), Err(Error::System("damaged")));
        let mut out = b"before".to_vec();
        assert_eq!(stream.frame(b"x", &mut out), Err(Error::System("damaged")));
        assert_eq!(out, b"before");
        assert_eq!(stream.encode(&mut [0; 9], 3), Err(Error::System("damaged")));
        assert_eq!(stream.decode(&mut b"abc!".to_owned()), Err(Error::System("damaged")));
    }
    assert_eq!(stream.failure().unwrap().to_string(), "TEST client: damaged (SASL_FAIL)");
}

#[test]
fn a_message_that_is_too_long_ends_nothing() {
    let mut stream = stream();
    assert_eq!(stream.encode(&mut [0; 12], 11), Err(Error::Misuse(Misuse::MessageTooLong)));
    assert_eq!(stream.encode(&mut [0; 11], 10), Ok(11));
    assert!(stream.failure().is_none());
    assert!(stream.decode(&mut [b'!'; 12]).is_err());
    assert!(stream.failure().is_some());
}

#[test]
fn a_connection_that_closes_within_a_frame_was_cut() {
    for (sent, cut) in [(0, false), (1, true), (4, true), (6, true), (8, false)] {
        let mut stream = stream();
        stream.feed(&frames(b"abc")[..sent]).unwrap();
        stream.cut();
        assert_eq!(stream.failure().is_some(), cut, "{sent}");
    }
}
