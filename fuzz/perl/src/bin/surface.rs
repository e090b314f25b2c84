//! The libFuzzer target.

#![no_main]

use std::cell::OnceCell;

use fuzz_perl::program::Program;
use fuzz_perl::surface::Surface;
use libfuzzer_sys::fuzz_target;

// Perl stays to the end of the process: libFuzzer leaves it without a return.
thread_local!(static SURFACE: OnceCell<Surface> = const { OnceCell::new() });

fuzz_target!(|program: Program| SURFACE.with(|surface| surface.get_or_init(Surface::new).judge(&program)));
