//! Every parser of `src/wire`, of stored keys and of DIGEST-MD5's messages; the first byte chooses it.
#![no_main]
#![allow(missing_docs)]

use authen_sasl_rust_fuzz::{memory, wire::PARSERS};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    let (_, parse) = PARSERS[usize::from(first) % PARSERS.len()];
    // NFKC makes eighteen characters of one at most (RFC 4013 and Unicode's U+FDFA), in buffers that double.
    memory::bounded(16_384 + 96 * bytes.len(), || parse(bytes));
});
