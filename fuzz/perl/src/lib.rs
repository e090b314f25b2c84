//! Perl, the extension and its core in one process, driven by small programs. `Surface.pm` beside this crate says what a
//! program can do and what must hold; here are perl, the programs, and what perl itself cannot see.

// The extension calls the core by its C names, which only the linker sees.
extern crate authen_sasl_rust as _;

pub mod perl;
pub mod program;
pub mod surface;
