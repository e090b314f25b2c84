//! MD5 (RFC 1321) and HMAC-MD5 (RFC 2104) over contexts that a plugin has allocated.
//!
//! A context has the fields of saslplug.h: the state, the number of bits, and the bytes of an incomplete block. So prepared
//! keys (`HMAC_MD5_STATE`) are compatible with those that other implementations have stored.
//!
//! There are two generations of that header, and plugins of both are supported. Since Debian 13 a context is that of
//! OpenSSL: it has the same fields and another number after them, which is not changed. The three functions return an int
//! there, 1 for success; a plugin of the older generation does not read it. The length of a text is a `size_t` there. Only
//! 32 bits of it are read, since an older plugin passes an `unsigned`, which does not define the others.

use std::ffi::{c_int, c_uint};
use std::slice;

use md5::block_api::compress;
use zeroize::Zeroize;

use saslplug::{HmacMd5Context, HmacMd5State, Md5Context};

/// The state before the first block (RFC 1321 §3.3).
const START: [u32; 4] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];

/// MD5 in a context of the plugin.
trait Md5 {
    /// A context after this number of bytes, a multiple of 64.
    fn after(state: [u32; 4], bytes: u32) -> Self;
    /// The number of bits so far.
    fn bits(&self) -> u64;
    /// Hashes more text.
    fn update(&mut self, text: &[u8]);
    /// The hash. The context is zeroized.
    fn finish(&mut self) -> [u8; 16];
    /// Wipes the context.
    fn wipe(&mut self);
}

impl Md5 for Md5Context {
    fn after(state: [u32; 4], bytes: u32) -> Self {
        Md5Context { state, count: [bytes * 8, 0], buffer: [0; 64] }
    }

    fn bits(&self) -> u64 {
        u64::from(self.count[1]) << 32 | u64::from(self.count[0])
    }

    fn update(&mut self, mut text: &[u8]) {
        let used = (self.bits() / 8 % 64) as usize;
        let bits = self.bits().wrapping_add(text.len() as u64 * 8);
        self.count = [bits as u32, (bits >> 32) as u32];
        if used > 0 {
            let (head, rest) = text.split_at(text.len().min(64 - used));
            self.buffer[used..used + head.len()].copy_from_slice(head);
            if used + head.len() < 64 {
                return;
            }
            compress(&mut self.state, &[self.buffer]);
            text = rest;
        }
        while let Some((block, rest)) = text.split_first_chunk() {
            compress(&mut self.state, std::slice::from_ref(block));
            text = rest;
        }
        self.buffer[..text.len()].copy_from_slice(text);
    }

    fn finish(&mut self) -> [u8; 16] {
        let bits = self.bits();
        let used = (bits / 8 % 64) as usize;
        let padding = if used < 56 { 56 - used } else { 120 - used };
        let mut pad = [0; 64];
        pad[0] = 0x80;
        self.update(&pad[..padding]);
        self.update(&bits.to_le_bytes());
        let mut out = [0; 16];
        out.chunks_exact_mut(4).zip(self.state).for_each(|(four, word)| four.copy_from_slice(&word.to_le_bytes()));
        self.wipe();
        out
    }

    fn wipe(&mut self) {
        self.state.zeroize();
        self.count.zeroize();
        self.buffer.zeroize();
    }
}

/// A prepared key of HMAC-MD5.
trait Prepared {
    /// Both hashes after the block of the key, in network byte order as libsasl2 stores them.
    fn of(key: &[u8]) -> Self;
    /// A context that has hashed the key.
    fn begin(&self) -> HmacMd5Context;
}

impl Prepared for HmacMd5State {
    fn of(key: &[u8]) -> Self {
        let mut block = [0; 64];
        if key.len() > 64 {
            let mut long = Md5Context::after(START, 0);
            long.update(key);
            block[..16].copy_from_slice(&long.finish());
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let prepared = |pad: u8| {
            let mut padded = block.map(|byte| byte ^ pad);
            let mut state = START;
            compress(&mut state, &[padded]);
            padded.zeroize();
            state.map(u32::to_be)
        };
        let state = HmacMd5State { istate: prepared(0x36), ostate: prepared(0x5C) };
        block.zeroize();
        state
    }

    fn begin(&self) -> HmacMd5Context {
        let [ictx, octx] = [self.istate, self.ostate].map(|state| Md5Context::after(state.map(u32::from_be), 64));
        HmacMd5Context { ictx, octx }
    }
}

/// HMAC-MD5 in a context of the plugin.
trait HmacMd5 {
    /// The code.
    fn code(&mut self) -> [u8; 16];
}

impl HmacMd5 for HmacMd5Context {
    fn code(&mut self) -> [u8; 16] {
        let inner = self.ictx.finish();
        self.octx.update(&inner);
        self.octx.finish()
    }
}

/// Bytes of a plugin; none for a null pointer or a negative length.
///
/// # Safety
/// The pointer is null or has `length` readable bytes.
unsafe fn bytes<'a>(text: *const u8, length: i64) -> &'a [u8] {
    if text.is_null() || length <= 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(text, length as usize) }
}

// SAFETY of all below: a plugin passes contexts, keys and texts that it owns, as saslplug.h asks for; a null
// context is left alone.

pub unsafe extern "C" fn md5_init(context: *mut Md5Context) -> c_int {
    if context.is_null() {
        return 0;
    }
    // SAFETY: as above; nothing is read of what may be uninitialized.
    unsafe { context.write(Md5Context::after(START, 0)) };
    1
}

pub unsafe extern "C" fn md5_update(context: *mut Md5Context, text: *const u8, length: c_uint) -> c_int {
    // SAFETY: as above.
    let Some(context) = (unsafe { context.as_mut() }) else { return 0 };
    // SAFETY: as above.
    context.update(unsafe { bytes(text, length.into()) });
    1
}

pub unsafe extern "C" fn md5_final(digest: *mut [u8; 16], context: *mut Md5Context) -> c_int {
    // SAFETY: as above.
    let (false, Some(context)) = (digest.is_null(), unsafe { context.as_mut() }) else { return 0 };
    // SAFETY: as above.
    unsafe { digest.write(context.finish()) };
    1
}

pub unsafe extern "C" fn hmac_md5(
    text: *const u8,
    text_length: c_int,
    key: *const u8,
    key_length: c_int,
    digest: *mut [u8; 16],
) {
    // SAFETY: as above.
    let (text, key) = unsafe { (bytes(text, text_length.into()), bytes(key, key_length.into())) };
    let mut context = HmacMd5State::of(key).begin();
    context.ictx.update(text);
    if !digest.is_null() {
        // SAFETY: as above.
        unsafe { digest.write(context.code()) };
    }
}

pub unsafe extern "C" fn hmac_md5_init(context: *mut HmacMd5Context, key: *const u8, length: c_int) {
    if !context.is_null() {
        // SAFETY: as above.
        unsafe { context.write(HmacMd5State::of(bytes(key, length.into())).begin()) };
    }
}

pub unsafe extern "C" fn hmac_md5_final(digest: *mut [u8; 16], context: *mut HmacMd5Context) {
    // SAFETY: as above.
    if let (false, Some(context)) = (digest.is_null(), unsafe { context.as_mut() }) {
        // SAFETY: as above.
        unsafe { digest.write(context.code()) };
    }
}

pub unsafe extern "C" fn hmac_md5_precalc(state: *mut HmacMd5State, key: *const u8, length: c_int) {
    if !state.is_null() {
        // SAFETY: as above.
        unsafe { state.write(HmacMd5State::of(bytes(key, length.into()))) };
    }
}

pub unsafe extern "C" fn hmac_md5_import(context: *mut HmacMd5Context, state: *mut HmacMd5State) {
    // SAFETY: as above.
    if let (false, Some(state)) = (context.is_null(), unsafe { state.as_ref() }) {
        // SAFETY: as above.
        unsafe { context.write(state.begin()) };
    }
}
