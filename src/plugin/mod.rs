//! Cyrus SASL's plugins (saslplug.h) as mechanisms like any other: the host that libsasl2 is for them elsewhere, without
//! libsasl2.
#![allow(unsafe_code)]
#![allow(dead_code)] // until the accounts use all of it

mod abi;
mod connection;
pub mod coroutine;
mod md5;
mod mutex;
mod options;
mod propctx;
mod text;
mod utils;
