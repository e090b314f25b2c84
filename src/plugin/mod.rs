//! The host of Cyrus SASL's plugins (saslplug.h), without libsasl2.
#![allow(unsafe_code)]
#![allow(dead_code)] // until the loader uses all of it

mod abi;
mod connection;
mod md5;
mod mutex;
mod options;
mod propctx;
mod text;
mod utils;

#[cfg(test)]
mod tests;
