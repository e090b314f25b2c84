//! Cyrus SASL's plugins as mechanisms like any other: the host that libsasl2 is for them elsewhere.
#![allow(unsafe_code)]

pub mod coroutine;
