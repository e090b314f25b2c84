//! All parsers of `src/wire`, of verifiers and of DIGEST-MD5's messages. The first byte chooses one.
#![no_main]
#![allow(missing_docs)]

use authen_sasl_rust_fuzz::{memory, wire::PARSERS};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    let (name, parse) = PARSERS[usize::from(first) % PARSERS.len()];
    // NFKC turns one character into at most eighteen (RFC 4013, U+FDFA), in buffers that double.
    // A line of a users' file, which no peer writes, takes a hundred bytes even if it is empty.
    let per_byte = if name == "users" { 1024 } else { 96 };
    memory::bounded(16_384 + per_byte * bytes.len(), || parse(bytes));
});
