//! Shared code of the fuzz targets. Each target is one file of `fuzz_targets/`; docs/fuzzing.md says what each one asserts,
//! and how to run them.
//!
//! Each file imports only files of lower floors; `xt/imports.t` checks that.
//!
//! | floor | files | what |
//! |---|---|---|
//! | 7 | `network.rs` | carries the messages, and damages them |
//! | 6 | `judge.rs` | what must hold whenever a side has succeeded |
//! | 5 | `evidence.rs`, `forger.rs` | both sides, and what was done to their messages; a SCRAM peer that knows the secret and lies |
//! | 4 | `party.rs` | one side of an exchange with its application |
//! | 3 | `application.rs`, `cyrus.rs` | answers to a session's questions, honest and dishonest; accounts of Cyrus SASL |
//! | 2 | `accounts.rs`, `chain.rs`, `facts.rs`, `functions.rs`, `stores.rs` | accounts of the C surface; chains of one-time passwords; what both sides know and have configured; the C surface without a handle; files and sockets of accounts and plugins |
//! | 1 | `input.rs`, `ledger.rs`, `memory.rs`, `surface.rs`, `wire.rs` | import nothing of ours: the fuzzer's bytes as numbers and strings; exchanges counted; memory limited; the C surface; messages parsed, printed and parsed again |

pub mod accounts;
pub mod application;
pub mod chain;
pub mod cyrus;
pub mod evidence;
pub mod facts;
pub mod forger;
pub mod functions;
pub mod input;
pub mod judge;
pub mod ledger;
pub mod memory;
pub mod network;
pub mod party;
pub mod stores;
pub mod surface;
pub mod wire;
