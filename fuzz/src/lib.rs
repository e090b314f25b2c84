//! What the fuzz targets share. Each target is one file of `fuzz_targets/`; docs/fuzzing.md says
//! what each one asserts, and how to run them.
//!
//! - [`input`]: reads a program for the target out of the fuzzer's bytes;
//! - [`ledger`]: counts exchanges and their ends;
//! - [`memory`]: the most memory that a piece of work may take;
//! - [`wire`]: the messages, parsed and printed and parsed again;
//! - [`facts`]: what both sides know and have set;
//! - [`application`]: answers, honest ones and others;
//! - [`party`]: one side of an exchange with its application;
//! - [`network`]: what carries the messages, and damages them;
//! - [`forger`]: a SCRAM peer that knows the secret and lies all the same;
//! - [`judge`]: what must hold whenever a side has succeeded;
//! - [`stores`]: files and sockets of accounts and plugins;
//! - [`surface`]: the C surface, as a C program sees it.

pub mod application;
pub mod facts;
pub mod forger;
pub mod input;
pub mod judge;
pub mod ledger;
pub mod memory;
pub mod network;
pub mod party;
pub mod stores;
pub mod surface;
pub mod wire;
