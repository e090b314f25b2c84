//! Keeps panics from reaching C.

use std::panic::{catch_unwind, AssertUnwindSafe};

/// The result of `work`, or `fallback` if it panics.
pub fn shielded<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // The payload's own destructor may panic too.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(payload)));
        fallback
    })
}
