//! Runs perl, the extension and its core in one process, driven by small programs. `Surface.pm` in this crate's folder defines
//! what a program can do and what must hold; this crate has perl, the programs, and the checks that perl itself cannot make.
//!
//! Each file imports only files of lower floors; `xt/imports.t` checks that.
//!
//! | floor | files | what |
//! |---|---|---|
//! | 2 | `surface.rs` | runs programs, and checks scalars and reference counts |
//! | 1 | `perl.rs`, `program.rs` | import nothing of ours: the embedded perl; the input |

// The extension calls the core by its C names, which only the linker resolves.
extern crate authen_sasl_perl as _;

pub mod perl;
pub mod program;
pub mod surface;
