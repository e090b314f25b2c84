//! The input: a tape of records, then texts.

use arbitrary::{Arbitrary, Result, Unstructured};

/// What is done first, with which slot, and with what. `Surface.pm` gives the numbers their meaning.
pub const RECORD: usize = 6;
const MOST_RECORDS: usize = 24;
const MOST_TEXTS: usize = 8;
/// Between texts: no byte of UTF-8.
const SEPARATOR: u8 = 0xff;

/// A call takes the next record of the tape; so does each callback that it runs, to know what to do.
#[derive(Debug)]
pub struct Program {
    pub tape: Vec<[u8; RECORD]>,
    pub texts: Vec<Vec<u8>>,
}

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let records = input.int_in_range(0..=MOST_RECORDS)?.min(input.len() / RECORD);
        let tape = (0..records).map(|_| input.arbitrary()).collect::<Result<_>>()?;
        let rest = input.bytes(input.len())?;
        let texts = rest.split(|&byte| byte == SEPARATOR).take(MOST_TEXTS).map(<[u8]>::to_vec).collect();
        Ok(Self { tape, texts })
    }
}
