//! Cyrus SASL's plugins (saslplug.h) as mechanisms like any other: the host that libsasl2 is for them elsewhere, without
//! libsasl2.
//!
//! [`Plugins::load`] opens files and finds their mechanisms; a connection whose options have these plugins
//! ([`crate::config::Config::set_plugins`]) may then use them by name. `docs/decisions/0007-plugins.md` has the reasons.
#![allow(unsafe_code)]

#[allow(missing_docs)] // the words are those of the headers
pub mod abi;
mod accounts;
mod auxprop;
mod begun;
mod callbacks;
mod canon;
mod client;
mod connection;
mod coroutine;
#[cfg(not(fuzzing))]
mod elf;
#[cfg(fuzzing)]
pub mod elf;
mod inquiry;
pub mod journal;
mod layer;
mod loader;
mod md5;
mod mutex;
mod names;
mod options;
mod parameters;
mod propctx;
mod registry;
mod server;
mod sqlite;
mod text;
mod utils;

use std::ffi::{c_char, c_int, c_uint};
use std::slice;

use crate::contract::MESSAGE_LIMIT;
use crate::error::{Code, Error};

use abi::code;
use connection::Connection;

pub use accounts::CyrusAccounts;
pub use connection::Log;
pub use loader::{folders, privileged, Refused};
pub use options::Options;
pub use registry::{Hosted, Plugins, Wish};
pub use server::{set_password, sets_passwords};

/// Asks for plugins in the environment of a program that does not do it itself: `1` for all, or names with blanks or commas between them.
const VARIABLE: &str = "AUTHEN_SASL_RUST_PLUGINS";

/// The plugins that the environment asks for, unless it is that of a program with more rights than its user's.
pub fn from_environment() -> Option<Plugins> {
    let wanted = std::env::var(VARIABLE).ok().filter(|_| !privileged())?;
    let names: Vec<String> = crate::config::words(&wanted).map(str::to_owned).collect();
    let load = match names.as_slice() {
        [] => return None,
        [word] if word == "0" => return None,
        [word] if word == "1" => None,
        _ => Some(names),
    };
    Plugins::load(&Wish { load, ..Wish::default() }).ok()
}

/// Bytes as plugins want them, with a NUL behind.
fn with_nul(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len() + 1);
    text.extend_from_slice(bytes);
    text.push(0);
    text
}

/// What a plugin gave; `None` for a null pointer.
///
/// # Safety
/// The pointer is null or valid for that length, as long as the result is used.
unsafe fn given<'a>(start: *const c_char, length: c_uint) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast(), length as usize) })
}

/// The message that a step has left for the peer, as a copy; `None` if there is none. What a failed step has left is nobody's: the
/// plugin may have freed it.
///
/// # Safety
/// As [`given`], if the step has not failed.
unsafe fn left(connection: &Connection, result: c_int, start: *const c_char, length: c_uint) -> Left {
    if result != code::OK && result != code::CONTINUE {
        return (result, None);
    }
    if !start.is_null() && length as usize > MESSAGE_LIMIT {
        connection.set_error(format!("the plugin gave a message of {length} bytes").as_bytes(), true);
        return (code::FAIL, None);
    }
    // SAFETY: the caller's promise.
    (result, unsafe { given(start, length) }.map(<[u8]>::to_vec))
}

/// What a step has left: the code, and what is to be sent.
type Left = (c_int, Option<Vec<u8>>);

/// The failure of a plugin's function: its code, and what the plugin has said of it.
fn failed(result: c_int, connection: &Connection) -> Error {
    let text = connection.take_error().unwrap_or_else(|| "the plugin gave no reason".into());
    Error::outside(Code::of(result), text)
}

#[cfg(test)]
mod tests;
