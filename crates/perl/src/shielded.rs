//! No panic reaches C.

use std::panic::{catch_unwind, AssertUnwindSafe};

/// The reason of a failure that a panic has caused.
pub const DEFECT: &str = "internal error: a defect of this library, please report it";

/// The result of `work`, or of a panic in it `fallback`: a panic must not reach C.
pub fn shielded<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // The payload's own destructor may panic too.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(payload)));
        fallback
    })
}
