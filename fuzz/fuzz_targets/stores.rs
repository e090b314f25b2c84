//! What a machine's owner gives to read: configurations, users' files, a saslauthd's reply, a plugin's file; the
//! first byte chooses it.
#![no_main]
#![allow(missing_docs)]

use authen_sasl_rust_fuzz::{memory, stores::READERS};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    let (_, read) = READERS[usize::from(first) % READERS.len()];
    // A line of a file may be of two bytes, and is kept with its name, its value and its place. Users are parsed several times.
    memory::bounded(65_536 + 8192 * bytes.len(), || read(bytes));
});
