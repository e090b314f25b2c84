//! Bytes and results that the host and a plugin exchange.

use std::ffi::{c_char, c_int, c_uint};
use std::slice;

use authen_sasl_rust::contract::MESSAGE_LIMIT;
use authen_sasl_rust::error::{Code, Error};

use super::connection::Connection;
use saslplug::code;

/// Bytes for a plugin, followed by a NUL.
pub fn with_nul(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len() + 1);
    text.extend_from_slice(bytes);
    text.push(0);
    text
}

/// Bytes from a plugin; `None` for a null pointer.
///
/// # Safety
/// The pointer is null or valid for that length, as long as the result is used.
pub unsafe fn given<'a>(start: *const c_char, length: c_uint) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast(), length as usize) })
}

/// The result of a step, with a copy of the message for the peer; `None` if there is none. The message of a failed step is not
/// read: the plugin may have freed it.
///
/// # Safety
/// As [`given`], if the step has not failed.
pub unsafe fn step_output(connection: &Connection, result: c_int, start: *const c_char, length: c_uint) -> StepOutput {
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

/// The result of a step: its code, and the message to send.
pub type StepOutput = (c_int, Option<Vec<u8>>);

/// The failure of a plugin's function: its code, and the plugin's reason.
pub fn failed(result: c_int, connection: &Connection) -> Error {
    let text = connection.take_error().unwrap_or_else(|| "the plugin gave no reason".into());
    Error::outside(Code::of(result), text)
}
