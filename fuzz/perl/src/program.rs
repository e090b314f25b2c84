//! The input: a tape of records, then texts.

use arbitrary::{Arbitrary, Result, Unstructured};

/// Numbers per record: the operation, a slot, and arguments. `Surface.pm` defines their meaning.
pub const RECORD: usize = 6;
const MAX_RECORDS: usize = 24;
const MAX_TEXTS: usize = 8;
/// Between texts: a byte that does not occur in UTF-8.
const SEPARATOR: u8 = 0xff;

/// Each call takes the next record of the tape. So does each callback that it runs, to choose its behavior.
#[derive(Debug)]
pub struct Program {
    pub tape: Vec<[u8; RECORD]>,
    pub texts: Vec<Vec<u8>>,
}

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let records = input.int_in_range(0..=MAX_RECORDS)?.min(input.len() / RECORD);
        let tape = (0..records).map(|_| input.arbitrary()).collect::<Result<_>>()?;
        let rest = input.bytes(input.len())?;
        let texts = rest.split(|&byte| byte == SEPARATOR).take(MAX_TEXTS).map(<[u8]>::to_vec).collect();
        Ok(Self { tape, texts })
    }
}
