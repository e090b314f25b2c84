//! Base64, challenges, UTF-8 and random bytes for plugins, with the results that libsasl2 gives.

use std::ffi::{c_char, c_int, c_uint, CStr};
use std::slice;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use base64::Engine;
use zeroize::Zeroize;

use super::connection::Connection;
use saslplug::{code, property, Conn, Rand};

/// Trailing bits beyond the last byte are ignored, as in libsasl2.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

// SAFETY of all below: a plugin passes buffers of the lengths that it names, as saslplug.h asks for.

/// Encodes, and appends a NUL, for which there must be room.
pub unsafe extern "C" fn encode64(
    input: *const c_char,
    length: c_uint,
    out: *mut c_char,
    room: c_uint,
    written: *mut c_uint,
) -> c_int {
    if input.is_null() && length > 0 || out.is_null() {
        return code::BADPARAM;
    }
    let needed = u64::from(length).div_ceil(3) * 4;
    // SAFETY: as above; `as_mut` gives `None` for a null pointer.
    if let Some(written) = unsafe { written.as_mut() } {
        *written = needed as c_uint;
    }
    if u64::from(room) <= needed {
        return code::BUFOVER;
    }
    // SAFETY: as above.
    let (input, out) = unsafe { (bytes(input, length), bytes_mut(out, room)) };
    if STANDARD.encode_slice(input, out).is_err() {
        return code::BUFOVER;
    }
    out[needed as usize] = 0;
    code::OK
}

/// Decodes, and appends a NUL, for which there must be room. Fewer than four characters at the end are left for the next
/// call (`SASL_CONTINUE`).
pub unsafe extern "C" fn decode64(
    input: *const c_char,
    length: c_uint,
    out: *mut c_char,
    room: c_uint,
    written: *mut c_uint,
) -> c_int {
    if out.is_null() || input.is_null() {
        return code::FAIL;
    }
    // SAFETY: as above.
    let (input, out) = unsafe { (bytes(input, length), bytes_mut(out, room)) };
    if input.first() == Some(&b'\r') {
        return code::FAIL;
    }
    let (groups, rest) = input.split_at(input.len() / 4 * 4);
    let count = match LENIENT.decode_slice(groups, out) {
        Ok(count) if count < out.len() || count == 0 => count,
        _ => return first_fault(groups, out.len()),
    };
    if let Some(end) = out.get_mut(count) {
        *end = 0;
    }
    // SAFETY: as above.
    if let Some(written) = unsafe { written.as_mut() } {
        *written = count as c_uint;
    }
    match rest {
        [] => code::OK,
        _ if groups.ends_with(b"=") => code::BADPROT,
        _ => code::CONTINUE,
    }
}

/// Why these groups cannot be decoded into a buffer of that size: the code of the first error.
fn first_fault(groups: &[u8], room: usize) -> c_int {
    let (mut count, mut ended) = (0, false);
    for group in groups.chunks_exact(4) {
        let mut three = [0; 3];
        let decoded = match LENIENT.decode_slice(group, &mut three) {
            Ok(decoded) if !ended => decoded,
            _ => return code::BADPROT,
        };
        ended = decoded < 3;
        count += decoded;
        if count >= room {
            return code::BUFOVER;
        }
    }
    code::BADPROT
}

/// A challenge `<random.time@host>` (RFC 2195 §2) or, without the host, `<random.time>`; its length, or 0 if it
/// does not fit.
pub unsafe extern "C" fn mkchal(conn: *mut Conn, out: *mut c_char, room: c_uint, host: c_uint) -> c_int {
    let mut random = [0; 8];
    if out.is_null() || getrandom::fill(&mut random).is_err() {
        return 0;
    }
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let mut challenge = format!("<{}.{time}", u64::from_be_bytes(random)).into_bytes();
    if host != 0 {
        // SAFETY: as above.
        let name = unsafe { Connection::of(conn) }.and_then(|connection| connection.property(property::SERVERFQDN));
        challenge.push(b'@');
        // SAFETY: this property is a text.
        let name = name.map(|name| unsafe { CStr::from_ptr(name.cast()) });
        challenge.extend_from_slice(name.map_or(&b"localhost"[..], CStr::to_bytes));
    }
    challenge.extend_from_slice(b">\0");
    if challenge.len() > room as usize {
        return 0;
    }
    // SAFETY: as above.
    let out = unsafe { bytes_mut(out, room) };
    out[..challenge.len()].copy_from_slice(&challenge);
    challenge.len() as c_int - 1
}

/// `SASL_OK` for valid UTF-8 (RFC 3629), else `SASL_BADPROT`. libsasl2 accepts overlong forms and surrogates, with which
/// two different names could look alike.
pub unsafe extern "C" fn utf8verify(text: *const c_char, length: c_uint) -> c_int {
    if text.is_null() && length > 0 {
        return code::BADPARAM;
    }
    // SAFETY: as above.
    match std::str::from_utf8(unsafe { bytes(text, length) }) {
        Ok(_) => code::OK,
        Err(_) => code::BADPROT,
    }
}

/// Random bytes of the operating system. If it has none, the process ends: this function cannot report an error, and the
/// plugin would use the old contents of the buffer.
pub unsafe extern "C" fn rand(_: *mut Rand, out: *mut c_char, length: c_uint) {
    if out.is_null() || length == 0 {
        return;
    }
    // SAFETY: as above.
    if getrandom::fill(unsafe { bytes_mut(out, length) }).is_err() {
        std::process::abort();
    }
}

/// The operating system needs no seed from a plugin.
pub unsafe extern "C" fn churn(_: *mut Rand, _: *const c_char, _: c_uint) {}

pub unsafe extern "C" fn erasebuffer(buffer: *mut c_char, length: c_uint) {
    if !buffer.is_null() && length > 0 {
        // SAFETY: as above.
        unsafe { bytes_mut(buffer, length) }.zeroize();
    }
}

unsafe fn bytes<'a>(pointer: *const c_char, length: c_uint) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: as above; the callers have looked for null.
    unsafe { slice::from_raw_parts(pointer.cast(), length as usize) }
}

unsafe fn bytes_mut<'a>(pointer: *mut c_char, length: c_uint) -> &'a mut [u8] {
    // SAFETY: as above; the callers have looked for null.
    unsafe { slice::from_raw_parts_mut(pointer.cast(), length as usize) }
}
