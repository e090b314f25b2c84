//! Parsers of configuration files, users' files, saslauthd replies and plugin files. The first byte chooses one.
#![no_main]
#![allow(missing_docs)]

use authen_sasl_rust_fuzz::{memory, stores::READERS};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    let (_, read) = READERS[usize::from(first) % READERS.len()];
    // A line may have only two bytes, but is stored with name, value and position. Users are parsed several times.
    memory::bounded(65_536 + 8192 * bytes.len(), || read(bytes));
});
