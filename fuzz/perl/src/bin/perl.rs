//! The libFuzzer target.

#![no_main]

use std::cell::OnceCell;
use std::mem::ManuallyDrop;

use fuzz_perl::program::Program;
use fuzz_perl::surface::Surface;
use libfuzzer_sys::fuzz_target;

// Perl is not freed at the end: a destructor that was left by exit leaks part of it.
thread_local!(static SURFACE: OnceCell<ManuallyDrop<Surface>> = const { OnceCell::new() });

fuzz_target!(|program: Program| SURFACE
    .with(|surface| surface.get_or_init(|| ManuallyDrop::new(Surface::new())).check(&program)));
