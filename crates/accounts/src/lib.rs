//! Account stores on this machine, for servers of any protocol: a file of users, saslauthd, and the reading of Cyrus SASL's
//! configuration files. Each file imports only files of lower floors:
//!
//! | floor | files | what |
//! |---|---|---|
//! | 2 | `users/`, `saslauthd.rs`, `saslauthd_absent.rs` | a file of verifiers; a daemon that checks passwords |
//! | 1 | `conf.rs`, `domain.rs`, `files.rs` | configuration files; names with a domain; files with secrets |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

pub mod conf;
pub mod domain;
#[cfg(unix)]
pub mod files;
#[cfg(unix)]
pub mod saslauthd;
#[cfg(not(unix))]
#[path = "saslauthd_absent.rs"]
pub mod saslauthd;
pub mod users;
