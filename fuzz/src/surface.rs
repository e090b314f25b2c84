//! The C surface as a C program sees it: `crates/perl/src/ffi.h` in Rust, with its numbers and without the core's types.
#![allow(unsafe_code, missing_docs)]

use std::ffi::{c_int, c_void};
use std::ptr;

pub use authen_sasl_perl::numbers::{expected_user, outcome, preparation, question_kind};

/// `asr_slice`: borrowed bytes. A null pointer means absent.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    pub ptr: *const u8,
    pub len: usize,
}

/// `asr_value`: one value of a client's application.
#[repr(C)]
pub struct Value {
    pub property: u32,
    pub bytes: Slice,
}

/// `asr_question`: `kind` decides which fields are used.
#[repr(C)]
pub struct Question {
    pub kind: i32,
    pub wanted: u32,
    pub name: Slice,
    pub authzid: Slice,
    pub secret: Slice,
    pub realm: Slice,
    pub host: Slice,
    pub port: Slice,
    pub prompt: Slice,
    pub stored: Slice,
}

pub type Handle = *mut c_void;
pub type Layer = *const c_void;
pub type Keys = *const c_void;
pub type Accounts = *mut c_void;

extern "C" {
    pub fn asr_loaded();
    pub fn asr_new(side: i32, service: Slice, host: Slice, abilities: u32) -> Handle;
    pub fn asr_free(handle: Handle);
    pub fn asr_negotiate(handle: Handle, list: Slice) -> Slice;
    pub fn asr_pick(handle: Handle, name: Slice) -> i32;
    pub fn asr_set_abilities(handle: Handle, abilities: u32);
    pub fn asr_knows(name: Slice) -> i32;
    pub fn asr_option_names(out: *mut Slice) -> *mut c_void;
    pub fn asr_nearest(name: Slice, names: Slice, own: i32) -> Slice;
    pub fn asr_set(handle: Handle, name: Slice, value: Slice, error: *mut Slice) -> i32;
    pub fn asr_bind(handle: Handle, kind: Slice, data: Slice) -> Slice;
    pub fn asr_unbind(handle: Handle);
    pub fn asr_tls(handle: Handle, bits: u32, certificate: i32);
    pub fn asr_unix_peer(handle: Handle, is_one: i32);
    pub fn asr_get(handle: Handle, name: Slice) -> Slice;
    pub fn asr_start(handle: Handle, initial: Slice) -> i32;
    pub fn asr_step(handle: Handle, received: Slice) -> i32;
    pub fn asr_busy(handle: Handle);
    pub fn asr_abort(handle: Handle, why: i32, name: Slice, kind: Slice) -> i32;
    pub fn asr_abandon(handle: Handle) -> i32;
    pub fn asr_message(handle: Handle) -> Slice;
    pub fn asr_sent(handle: Handle);
    pub fn asr_error(handle: Handle) -> Slice;
    pub fn asr_code(handle: Handle) -> i32;
    pub fn asr_unavailable(handle: Handle) -> i32;
    pub fn asr_status(handle: Handle) -> i32;
    pub fn asr_mechanism(handle: Handle) -> Slice;
    pub fn asr_rank(handle: Handle) -> i32;
    pub fn asr_reasons(handle: Handle) -> Slice;
    pub fn asr_outline(handle: Handle, from: i32, index: u32, message: Slice) -> Slice;
    pub fn asr_usable(handle: Handle, out: *mut Slice) -> *mut c_void;
    pub fn asr_text_free(text: *mut c_void);
    pub fn asr_make_verifier(
        mechanism: Slice,
        password: Slice,
        salt: Slice,
        iterations: u32,
        spelling: Slice,
        out: *mut Slice,
        owner: *mut *mut c_void,
    ) -> i32;
    pub fn asr_salted_password(
        mechanism: Slice,
        password: Slice,
        salt: Slice,
        iterations: u32,
        out: *mut Slice,
        owner: *mut *mut c_void,
    ) -> i32;
    pub fn asr_verifier_of_salted(
        mechanism: Slice,
        salted: Slice,
        salt: Slice,
        iterations: u32,
        out: *mut Slice,
        owner: *mut *mut c_void,
    ) -> i32;
    pub fn asr_saslprep(name: Slice) -> i32;
    pub fn asr_random(out: *mut u8, length: usize) -> i32;
    pub fn asr_make_otp_state(
        phrase: Slice,
        hash: Slice,
        seed: Slice,
        host: Slice,
        sequence: u32,
        out: *mut Slice,
        owner: *mut *mut c_void,
    ) -> i32;
    pub fn asr_question_get(handle: Handle, out: *mut Question) -> i32;
    pub fn asr_offered_realm(handle: Handle, index: u32) -> Slice;
    pub fn asr_answer_values(handle: Handle, values: *const Value, count: usize) -> i32;
    pub fn asr_answer_text(handle: Handle, text: Slice) -> i32;
    pub fn asr_answer_verdict(handle: Handle, verdict: i32) -> i32;
    pub fn asr_answer_credential(handle: Handle, credential: Slice) -> i32;
    pub fn asr_answer_no_key(handle: Handle) -> i32;
    pub fn asr_answer_not_stored(handle: Handle, reason: Slice) -> i32;
    pub fn asr_answer_token(handle: Handle, identity: Slice, status: Slice, scope: Slice, configuration: Slice) -> i32;
    pub fn asr_key_abilities(keys: Slice) -> u32;
    pub fn asr_wants_keys(handle: Handle) -> i32;
    pub fn asr_keys_new() -> Keys;
    pub fn asr_keys_free(keys: Keys);
    pub fn asr_use_keys(handle: Handle, keys: Keys);
    pub fn asr_plugins_load(
        handle: Handle,
        path: Slice,
        load: Slice,
        prefer: i32,
        options: Slice,
        out: *mut Slice,
        owner: *mut *mut c_void,
    ) -> i32;
    pub fn asr_plugins_none(handle: Handle);
    pub fn asr_plugins_report(out: *mut Slice) -> *mut c_void;
    pub fn asr_setpass(handle: Handle, user: Slice, password: Slice, flags: u32) -> i32;
    pub fn asr_layered(handle: Handle) -> i32;
    pub fn asr_room(handle: Handle, length: usize) -> usize;
    pub fn asr_encode(handle: Handle, buffer: *mut u8, capacity: usize, length: usize) -> isize;
    pub fn asr_decode(handle: Handle, frame: *mut u8, length: usize) -> isize;
    pub fn asr_layer_share(handle: Handle) -> Layer;
    pub fn asr_layer_free(layer: Layer);
    pub fn asr_layer_frame(layer: Layer, plaintext: Slice, out: *mut Slice) -> *mut c_void;
    pub fn asr_bytes_free(bytes: *mut c_void);
    pub fn asr_layer_feed(layer: Layer, bytes: Slice) -> i32;
    pub fn asr_layer_ready(layer: Layer) -> usize;
    pub fn asr_layer_read(layer: Layer, out: *mut u8, count: usize) -> usize;
    pub fn asr_layer_find(layer: Layer, separator: Slice) -> usize;
    pub fn asr_layer_wanted(layer: Layer) -> usize;
    pub fn asr_layer_cut(layer: Layer);
    pub fn asr_layer_error(layer: Layer, out: *mut Slice) -> *mut c_void;
    pub fn asr_accounts_users(path: Slice, error: *mut Slice, owner: *mut *mut c_void) -> Accounts;
    pub fn asr_accounts_saslauthd(path: Slice, limit: f64, error: *mut Slice, owner: *mut *mut c_void) -> Accounts;
    pub fn asr_accounts_cyrus(path: Slice, options: Slice, error: *mut Slice, owner: *mut *mut c_void) -> Accounts;
    pub fn asr_accounts_free(accounts: Accounts);
    pub fn asr_accounts_error(accounts: Accounts) -> Slice;
    pub fn asr_accounts_check(accounts: Accounts, name: Slice, password: Slice, service: Slice, realm: Slice) -> i32;
    pub fn asr_accounts_set(
        accounts: Accounts,
        name: Slice,
        password: Slice,
        mechanisms: Slice,
        iterations: u32,
        expected: i32,
    ) -> i32;
    pub fn asr_accounts_delete(accounts: Accounts, name: Slice) -> i32;
    pub fn asr_accounts_disable(accounts: Accounts, name: Slice, disabled: i32) -> i32;
    pub fn asr_accounts_store_otp(accounts: Accounts, name: Slice, state: Slice) -> i32;
    pub fn asr_accounts_list(accounts: Accounts) -> Slice;
    pub fn asr_use_accounts(handle: Handle, accounts: Accounts);
    pub fn asr_lacks_accounts(handle: Handle) -> i32;
    pub fn asr_auxprop(handle: Handle, name: Slice, index: usize) -> Slice;
    pub fn asr_configuration(service: Slice, out: *mut Slice, owner: *mut *mut c_void) -> i32;
    pub fn asr_log_line(level: *mut c_int) -> Slice;
    pub fn asr_log_forget();
}

/// Absent.
pub const NONE: Slice = Slice { ptr: ptr::null(), len: 0 };

/// An empty question, to be filled in.
pub const NO_QUESTION: Question = Question {
    kind: 0,
    wanted: 0,
    name: NONE,
    authzid: NONE,
    secret: NONE,
    realm: NONE,
    host: NONE,
    port: NONE,
    prompt: NONE,
    stored: NONE,
};

/// Borrows a text.
pub fn lend(text: &str) -> Slice {
    Slice::of(Some(text.as_bytes()))
}

impl Slice {
    /// Borrows bytes, or is absent.
    pub fn of(bytes: Option<&[u8]>) -> Slice {
        bytes.map_or(NONE, |bytes| Slice { ptr: bytes.as_ptr(), len: bytes.len() })
    }

    /// Copies borrowed bytes, as a C program must. This reads each byte.
    ///
    /// # Safety
    /// The slice came from the core, and the handle has not been changed since.
    pub unsafe fn copy(self) -> Option<Vec<u8>> {
        // SAFETY: by this function's contract.
        (!self.ptr.is_null()).then(|| unsafe { std::slice::from_raw_parts(self.ptr, self.len) }.to_vec())
    }

    /// Copies a text, which must be UTF-8 and must not report an internal error.
    ///
    /// # Safety
    /// As for [`Slice::copy`].
    pub unsafe fn text(self) -> Option<String> {
        // SAFETY: by this function's contract.
        let text = unsafe { self.copy() }.map(|bytes| String::from_utf8(bytes).expect("a text in UTF-8"));
        assert!(!text.as_ref().is_some_and(|text| text.contains("internal error")), "{text:?}");
        text
    }
}
