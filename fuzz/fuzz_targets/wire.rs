//! Every parser of `src/wire`, of stored keys and of DIGEST-MD5's messages; the first byte chooses it.
#![no_main]
#![allow(missing_docs)]

use authen_sasl_rust_fuzz::{memory, wire::PARSERS};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    let (name, parse) = PARSERS[usize::from(first) % PARSERS.len()];
    // NFKC makes eighteen characters of one at most (RFC 4013 and Unicode's U+FDFA), in buffers that double.
    // A line of a users' file, which no peer writes, takes a hundred bytes even if it is empty.
    let most = if name == "users" { 1024 } else { 96 };
    memory::bounded(16_384 + most * bytes.len(), || parse(bytes));
});
