//! Where secrets come from besides the application's own words: stored keys, files of them, and remembered keys.

pub mod check;
pub mod conf;
pub mod domain;
pub mod keys;
pub mod mock;
#[cfg(unix)]
pub mod saslauthd;
#[cfg(not(unix))]
#[path = "saslauthd_absent.rs"]
pub mod saslauthd;
pub mod users;
pub mod verifier;
