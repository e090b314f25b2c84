//! Security contexts: how they are established, and the messages that they protect.

use std::ffi::c_int;
use std::ptr;

use authen_sasl_rust::contract::Side;
use authen_sasl_rust::error::{Error, Malformed, PeerMisbehaved};

use super::credentials::{Credentials, CANNOT_STORE};
use super::library::{flag, required, Call, Owned, Speaking, CONTINUE_NEEDED, ERROR, OUT_OF_ORDER};
use super::name::Name;
use super::raw::{self, Buffer, BufferSet, ChannelBindings, Functions, Handle, Word};

/// The state after a token.
pub enum Progress {
    /// Send this token and wait for the peer's.
    Continue(Vec<u8>),
    /// The context is established. The token must still be sent if it is not empty.
    Complete(Vec<u8>),
}

/// A context (`gss_ctx_id_t`).
pub struct SecurityContext {
    gss: &'static Functions,
    handle: Handle,
    side: Side,
    flags: Word,
}

// SAFETY: neither MIT's nor Heimdal's contexts are tied to the thread that created them. Two threads must not use one at
// the same time, which a single owner and `&mut self` prevent. The texts of errors, which MIT stores per thread, are read
// within the failed call.
unsafe impl Send for SecurityContext {}

/// The initiator, until the context is established.
pub struct Initiator {
    context: SecurityContext,
    target: Name,
    about: String,
    credentials: Option<Credentials>,
    speaking: Speaking,
    wanted: Word,
    binding: Option<Vec<u8>>,
}

/// The acceptor, until the context is established.
pub struct Acceptor {
    context: SecurityContext,
    about: String,
    credentials: Credentials,
    binding: Option<Vec<u8>>,
    wants_delegated: bool,
    client: Client,
}

/// The authenticated client.
#[derive(Default)]
pub struct Client {
    /// The local name if the library's rules have one, else the principal.
    pub authcid: String,
    /// True if the client is anonymous. (MIT sets no flag for the anonymous principal of RFC 8062 §3.)
    pub anonymous: bool,
    /// The delegated credentials, if they were wanted.
    pub delegated: Option<Credentials>,
}

/// Only `application_data` is set, as in all bindings to TLS (RFC 5801 §5.1, RFC 5929).
fn bindings(data: &[u8]) -> ChannelBindings {
    ChannelBindings {
        initiator_addrtype: 0,
        initiator_address: Buffer::EMPTY,
        acceptor_addrtype: 0,
        acceptor_address: Buffer::EMPTY,
        application_data: Buffer::of(data),
    }
}

impl Initiator {
    /// `about` is the service in words.
    ///
    /// # Errors
    /// If there is no library.
    pub fn new(
        speaking: Speaking,
        target: Name,
        about: String,
        credentials: Option<Credentials>,
        wanted: u32,
        binding: Option<Vec<u8>>,
    ) -> Result<Self, Error> {
        let context = SecurityContext { gss: required()?, handle: ptr::null_mut(), side: Side::Client, flags: 0 };
        Ok(Initiator { context, target, about, credentials, speaking, wanted, binding })
    }

    /// Takes the acceptor's token. There is none at the beginning.
    ///
    /// # Errors
    /// If the library refuses the token, or finds no ticket.
    pub fn step(&mut self, token: Option<&[u8]>) -> Result<Progress, Error> {
        let gss = self.context.gss;
        let mut input = token.map(Buffer::of);
        let mut bound = self.binding.as_deref().map(bindings);
        let mut out = Owned::new(gss);
        let mut minor = 0;
        // SAFETY: name and credentials are alive; the buffers and bindings live for the call; null means none.
        let major = unsafe {
            (gss.gss_init_sec_context)(
                &mut minor,
                self.credentials.as_ref().map_or(ptr::null_mut(), |found| found.handle),
                &mut self.context.handle,
                self.target.handle,
                self.speaking.oid().pointer(),
                self.wanted,
                0,
                bound.as_mut().map_or(ptr::null_mut(), ptr::from_mut),
                input.as_mut().map_or(ptr::null_mut(), ptr::from_mut),
                ptr::null_mut(),
                &mut out.buffer,
                &mut self.context.flags,
                ptr::null_mut(),
            )
        };
        Call::new(gss, Side::Client, "authenticating to", &self.about).check(major, minor)?;
        let token = out.bytes().to_vec();
        Ok(if major & CONTINUE_NEEDED != 0 { Progress::Continue(token) } else { Progress::Complete(token) })
    }

    /// The context, and the name of the authenticated client.
    ///
    /// # Errors
    /// If the library does not know it.
    pub fn finish(self) -> Result<(SecurityContext, String), Error> {
        let context = self.context;
        let mut source = Name { gss: context.gss, handle: ptr::null_mut() };
        let (mut minor, none) = (0, ptr::null_mut());
        let call = Call::new(context.gss, Side::Client, "asking for the own name", "");
        // SAFETY: the context is alive; null pointers ask for nothing.
        let major = unsafe {
            (context.gss.gss_inquire_context)(
                &mut minor,
                context.handle,
                &mut source.handle,
                none,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        call.check(major, minor)?;
        let name = source.display(call)?;
        Ok((context, name))
    }
}

impl Acceptor {
    /// `about` is the service in words.
    ///
    /// # Errors
    /// If there is no library, or it cannot store the delegated credentials that are wanted.
    pub fn new(
        about: String,
        credentials: Credentials,
        binding: Option<Vec<u8>>,
        wants_delegated: bool,
    ) -> Result<Self, Error> {
        let gss = required()?;
        if wants_delegated && gss.gss_store_cred_into.is_none() {
            return Err(CANNOT_STORE);
        }
        let context = SecurityContext { gss, handle: ptr::null_mut(), side: Side::Server, flags: 0 };
        Ok(Acceptor { context, about, credentials, binding, wants_delegated, client: Client::default() })
    }

    /// Takes the initiator's token.
    ///
    /// # Errors
    /// If the library refuses the token.
    pub fn step(&mut self, token: &[u8]) -> Result<Progress, Error> {
        let gss = self.context.gss;
        let mut input = Buffer::of(token);
        let mut bound = self.binding.as_deref().map(bindings);
        let mut source = Name { gss, handle: ptr::null_mut() };
        let mut delegated = Credentials { gss, handle: ptr::null_mut() };
        let mut out = Owned::new(gss);
        let mut minor = 0;
        // SAFETY: the credentials are alive; the buffers and bindings live for the call; null means none.
        let major = unsafe {
            (gss.gss_accept_sec_context)(
                &mut minor,
                &mut self.context.handle,
                self.credentials.handle,
                &mut input,
                bound.as_mut().map_or(ptr::null_mut(), ptr::from_mut),
                &mut source.handle,
                ptr::null_mut(),
                &mut out.buffer,
                &mut self.context.flags,
                ptr::null_mut(),
                if self.wants_delegated { &mut delegated.handle } else { ptr::null_mut() },
            )
        };
        let call = Call::new(gss, Side::Server, "accepting a client for", &self.about);
        call.check(major, minor)?;
        let token = out.bytes().to_vec();
        if major & CONTINUE_NEEDED != 0 {
            return Ok(Progress::Continue(token));
        }
        let principal = source.display(call)?;
        if !delegated.handle.is_null() {
            if delegated.owner()? != principal {
                return Err(Error::misbehaved("token", PeerMisbehaved::ForeignDelegation));
            }
            self.client.delegated = Some(delegated);
        }
        self.client.anonymous =
            self.context.flags & flag::ANONYMOUS != 0 || principal.starts_with("WELLKNOWN/ANONYMOUS@");
        self.client.authcid = source.local().unwrap_or(principal);
        Ok(Progress::Complete(token))
    }

    /// Which flags the context has.
    pub fn flags(&self) -> u32 {
        self.context.flags
    }

    /// The context, and the authenticated client.
    pub fn finish(self) -> (SecurityContext, Client) {
        (self.context, self.client)
    }
}

impl SecurityContext {
    /// Which flags the context has.
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// Which side this is.
    pub fn side(&self) -> Side {
        self.side
    }

    fn call(&self, doing: &'static str) -> Call<'static> {
        Call::new(self.gss, self.side, doing, "")
    }

    /// Protects a message.
    ///
    /// # Errors
    /// If the library fails, or does not encrypt although encryption was requested.
    pub fn wrap(&mut self, confidential: bool, message: &[u8]) -> Result<Vec<u8>, Error> {
        let (mut minor, mut encrypted) = (0, 0);
        let (mut input, mut out) = (Buffer::of(message), Owned::new(self.gss));
        let wanted = c_int::from(confidential);
        // SAFETY: the context is alive, the other pointers are to live variables.
        let major = unsafe {
            (self.gss.gss_wrap)(&mut minor, self.handle, wanted, 0, &mut input, &mut encrypted, &mut out.buffer)
        };
        self.call("protecting a message").check(major, minor)?;
        if confidential && encrypted == 0 {
            return Err(Error::System("the GSS-API library did not encrypt"));
        }
        Ok(out.bytes().to_vec())
    }

    /// Verifies and decodes a message. Also returns whether it was encrypted.
    ///
    /// # Errors
    /// If it is damaged, repeated, or out of order.
    pub fn unwrap(&mut self, frame: &[u8]) -> Result<(Vec<u8>, bool), Error> {
        // Shorter than any token: it is not passed to the library.
        if frame.len() < 4 {
            let reason = Malformed::Unexpected("it is shorter than any token of GSS-API");
            return Err(Error::malformed("wrapped message", reason));
        }
        let (mut minor, mut encrypted) = (0, 0);
        let (mut input, mut out) = (Buffer::of(frame), Owned::new(self.gss));
        // SAFETY: the context is alive, the other pointers are to live variables; null asks for no quality.
        let major = unsafe {
            let unwrap = self.gss.gss_unwrap;
            unwrap(&mut minor, self.handle, &mut input, &mut out.buffer, &mut encrypted, ptr::null_mut())
        };
        let call = self.call("opening a message");
        call.check(major, minor)?;
        if major & OUT_OF_ORDER != 0 {
            return Err(call.failed(major, minor));
        }
        Ok((out.bytes().to_vec(), encrypted != 0))
    }

    /// The longest message whose wrapped form has at most that length.
    pub fn room_for(&self, confidential: bool, wrapped: u32) -> u32 {
        let (mut minor, mut longest) = (0, 0);
        let wanted = c_int::from(confidential);
        // SAFETY: the context is alive, the other pointers are to live variables.
        let major =
            unsafe { (self.gss.gss_wrap_size_limit)(&mut minor, self.handle, wanted, 0, wrapped, &mut longest) };
        // Heimdal and MIT round up in some cases, so the result is limited to what fits.
        if major & ERROR == 0 && longest < wrapped {
            longest
        } else {
            0
        }
    }

    /// Strength of its encryption in bits: as the library reports it, else the length of the session key, else the minimum of
    /// all enctypes.
    pub fn strength(&self) -> u32 {
        const MIN_STRENGTH: u32 = 56;
        if let Some([a, b, c, d]) = self.inquire(&raw::SASL_SSF, |value| <[u8; 4]>::try_from(value).ok()).flatten() {
            return u32::from_be_bytes([a, b, c, d]).max(2);
        }
        let key_bits = self.inquire(&raw::SESSION_KEY, |key| key.len() * 8);
        match key_bits {
            Some(192) => 112, // triple DES
            Some(bits) => u32::try_from(bits).unwrap_or(MIN_STRENGTH).max(2),
            None => MIN_STRENGTH,
        }
    }

    fn inquire<T>(&self, what: &'static raw::Oid, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let (inquire, release) = (self.gss.gss_inquire_sec_context_by_oid?, self.gss.gss_release_buffer_set?);
        let (mut minor, mut set): (Word, *mut BufferSet) = (0, ptr::null_mut());
        // SAFETY: the context is alive, the object identifier is static.
        let major = unsafe { inquire(&mut minor, self.handle, what.pointer(), &mut set) };
        let mut value = None;
        if major & ERROR == 0 && !set.is_null() {
            // SAFETY: the library has made the set, and it is not released before the end of this block.
            unsafe {
                if (*set).count > 0 && !(*set).elements.is_null() {
                    let first = &*(*set).elements;
                    if !first.value.is_null() {
                        value = Some(read(std::slice::from_raw_parts(first.value.cast(), first.length)));
                    }
                }
            }
        }
        if !set.is_null() {
            // SAFETY: the set is the library's own and not released yet.
            unsafe { release(&mut minor, &mut set) };
        }
        value
    }
}

impl Drop for SecurityContext {
    fn drop(&mut self) {
        let mut minor = 0;
        if !self.handle.is_null() {
            // SAFETY: the context is the library's own and not deleted yet; no token is asked for.
            unsafe { (self.gss.gss_delete_sec_context)(&mut minor, &mut self.handle, ptr::null_mut()) };
        }
    }
}
