//! One exchange: a session of the core, and what libsasl2 was given of it, which lives until the context is disposed of.

use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void, CStr};
use std::ptr;
use std::slice;
use std::sync::{Mutex, OnceLock, PoisonError};

use zeroize::Zeroizing;

use authen_sasl_rust::config::{ChannelBinding, FRAME_LIMIT};
use authen_sasl_rust::contract::{Side, World};
use authen_sasl_rust::error::{Code, Error, Failure};
use authen_sasl_rust::plugin::abi::{disposition, Binding, OutParams, SecurityProperties};
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::world::{process_lookups, process_salt_key, OsRandom};

use crate::host::Host;
use crate::layer::{self, Layer};
use crate::table::Offer;

/// `SASL_CONTINUE`.
pub const CONTINUE: c_int = 1;
/// `SASL_INTERACT`.
pub const INTERACT: c_int = 2;

const DEFECT: &str = "internal error: a defect of this plugin, please report it";

/// The context of a mechanism, `T` being what its side needs beside the session.
///
/// A step takes the exchange out of it and puts it back at its end, so nothing is locked while libsasl2 is called. A panic leaves it
/// empty, and the exchange failed.
pub struct Connection<T> {
    exchange: Mutex<Option<Box<Exchange<T>>>>,
    layer: OnceLock<Layer>,
}

/// What a step works with.
pub struct Exchange<T> {
    /// The core's side of it.
    pub session: Session,
    /// The side's own.
    pub own: T,
    /// What the last step has sent, with a NUL behind.
    message: Zeroizing<Vec<u8>>,
    /// The server has taken the client's token: it has said nothing more.
    pub accepted: bool,
    /// The type of channel binding, for the out-parameters.
    binding: Option<(Box<CStr>, c_uint)>,
}

/// Where a step leaves what is sent.
#[derive(Clone, Copy)]
pub struct Output {
    /// `clientout` or `serverout`.
    pub text: *mut *const c_char,
    /// Its length.
    pub length: *mut c_uint,
}

impl Output {
    fn set(self, text: *const c_char, length: usize) {
        // SAFETY: libsasl2 passes a place for each; a caller that wants none passes null.
        unsafe {
            if !self.text.is_null() {
                *self.text = text;
            }
            if !self.length.is_null() {
                *self.length = length as c_uint;
            }
        }
    }
}

/// A message of the peer: null is none, which is not an empty one.
///
/// # Safety
/// It is null or has that length, for the time of the call.
pub unsafe fn input<'a>(start: *const c_char, length: c_uint) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast(), length as usize) })
}

/// A text of the parameters.
///
/// # Safety
/// It is null or ends in a NUL.
pub unsafe fn text(start: *const c_char) -> String {
    if start.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(start) }.to_string_lossy().into_owned()
}

/// The facts that both sides' parameters have.
pub struct Facts<'a> {
    pub service: *const c_char,
    pub host: *const c_char,
    pub local: *const c_char,
    pub remote: *const c_char,
    pub limits: &'a SecurityProperties,
    pub external_ssf: c_uint,
}

impl<T> Exchange<T> {
    /// # Safety
    /// The texts are null or end in a NUL.
    pub unsafe fn new(side: Side, offer: &Offer, facts: &Facts<'_>, own: T) -> Result<Self, Error> {
        let mut session = Session::new(side);
        let config = &mut session.config;
        // SAFETY: the caller's promise.
        let [service, host, local, remote] =
            [facts.service, facts.host, facts.local, facts.remote].map(|start| unsafe { text(start) });
        config.service = service.into();
        config.host = host.into();
        for (name, address) in [("iplocalport", local), ("ipremoteport", remote)] {
            if !address.is_empty() {
                config.set(name, Some(&address))?;
            }
        }
        config.min_ssf = facts.limits.min_ssf;
        config.max_ssf = Some(facts.limits.max_ssf);
        config.external_ssf = facts.external_ssf;
        config.max_buf = facts.limits.maxbufsize.min(FRAME_LIMIT);
        session.pick(offer.mechanism.name)?;
        Ok(Exchange { session, own, message: Zeroizing::default(), accepted: false, binding: None })
    }

    /// The channel binding that the application has, and what is made of it (`SASL_CB_DISP_*`).
    ///
    /// # Safety
    /// The binding is null or whole.
    pub unsafe fn bind(&mut self, binding: *const Binding, made: c_uint) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        let Some(binding) = (unsafe { binding.as_ref() }) else { return Ok(()) };
        // SAFETY: likewise.
        let (kind, data) = unsafe {
            let data = (!binding.data.is_null()).then(|| slice::from_raw_parts(binding.data, binding.len as usize));
            (text(binding.name), data.unwrap_or_default())
        };
        self.session.config.set_binding(ChannelBinding { kind: kind.clone(), data: data.to_vec() })?;
        // libsasl2 lists -PLUS as soon as there is data.
        self.session.config.lists_binding = self.session.config.binds();
        self.binding = Some((crate::host::c_text(&kind).into_boxed_c_str(), made));
        Ok(())
    }

    /// Runs `work` on the session with the world lent to it.
    pub fn run(&mut self, work: impl FnOnce(&mut Session, &mut World<'_>) -> Outcome) -> Outcome {
        let mut random = OsRandom;
        let mut world =
            World { random: &mut random, keys: None, salt_key: process_salt_key(), lookups: process_lookups() };
        work(&mut self.session, &mut world)
    }

    /// Hands out what the session has for the peer.
    fn send(&mut self, output: Output) {
        if self.session.message_absent() {
            return;
        }
        let message = self.session.message();
        let length = message.len();
        let mut copy = Zeroizing::new(Vec::with_capacity(length + 1));
        copy.extend_from_slice(message);
        copy.push(0);
        self.message = copy;
        self.session.message_sent();
        output.set(self.message.as_ptr().cast(), length);
    }

    /// Ends a step as the session has: what is sent, and the code. The out-parameters of a success are filled but for the names.
    fn ended(
        &mut self,
        outcome: Outcome,
        host: Host,
        context: *mut c_void,
        layer: &OnceLock<Layer>,
        output: Output,
        out: *mut OutParams,
    ) -> c_int {
        match outcome {
            Outcome::Send | Outcome::Absent => {
                if !self.accepted {
                    self.send(output);
                }
                if !self.session.is_success() {
                    return CONTINUE;
                }
                let waits = self.sends_token() && !self.accepted;
                // SAFETY: libsasl2 passes its own parameters.
                unsafe { self.fill(host, context, layer, out) };
                if waits {
                    CONTINUE
                } else {
                    Code::Ok as c_int
                }
            }
            // The dummy answer to the error object (RFC 7628 §3.2.3). The server's failure comes after it, in words of its own, and it is the
            // program that reads them.
            Outcome::FailedWithMessage if self.sends_token() => {
                self.send(output);
                if let Some(failure) = self.session.failure() {
                    fail(host, failure);
                }
                CONTINUE
            }
            Outcome::Failed | Outcome::FailedWithMessage => match self.session.failure() {
                Some(failure) => fail(host, failure),
                None => Code::Fail as c_int,
            },
            Outcome::Ask => Code::Fail as c_int,
            Outcome::Over | Outcome::Busy if self.sends_token() && self.session.failure().is_some() => {
                self.session.failure().map_or(Code::Fail as c_int, |failure| fail(host, failure))
            }
            Outcome::Over | Outcome::Busy => {
                host.set_error("the peer goes on after the end of the exchange");
                Code::BadProt as c_int
            }
        }
    }

    /// A client of a token is not done when it has sent it: a server that refuses goes on talking.
    pub fn sends_token(&self) -> bool {
        let bearer = self.session.mechanism().is_some_and(|mechanism| is_bearer(mechanism.name));
        bearer && self.session.side() == Side::Client
    }

    unsafe fn fill(&mut self, host: Host, context: *mut c_void, layer: &OnceLock<Layer>, out: *mut OutParams) {
        // SAFETY: the caller's promise: nothing else has them while the step runs.
        let out = unsafe { &mut *out };
        out.doneflag = c_uint::from(!self.sends_token() || self.accepted);
        if let Some((kind, made)) = &self.binding {
            out.cbindingname = kind.as_ptr();
            out.cbindingdisp = *made;
        }
        let Some(stream) = self.session.layer() else {
            (out.mech_ssf, out.maxoutbuf) = (0, 0);
            (out.encode, out.decode) = (None, None);
            return;
        };
        let layer = layer.get_or_init(|| Layer::new(stream.clone(), host));
        let (ssf, most) = layer.strength();
        (out.mech_ssf, out.maxoutbuf) = (ssf, most as c_uint);
        (out.encode_context, out.decode_context) = (context, context);
        out.encode = Some(layer::encode::<T>);
        out.decode = Some(layer::decode::<T>);
    }

    /// What a client has said of channel binding, for the out-parameters of a server.
    pub fn binding_made(&mut self, made: c_uint) {
        if let Some((_, kept)) = &mut self.binding {
            *kept = made;
        } else if made != disposition::NONE {
            self.binding = Some((Box::default(), made));
        }
    }
}

fn is_bearer(name: &str) -> bool {
    matches!(name, "OAUTHBEARER" | "XOAUTH2")
}

/// Tells the application why, and gives the code for it.
pub fn fail(host: Host, failure: &Failure) -> c_int {
    let Failure { side, mechanism, error } = failure;
    host.set_error(&format!("{} {side}: {error}", mechanism.unwrap_or_default()));
    error.code() as c_int
}

impl<T> Connection<T> {
    /// Gives a context to libsasl2, or the reason why there is none.
    pub fn begin(exchange: Result<Exchange<T>, Error>, offer: &Offer, host: Host, context: *mut *mut c_void) -> c_int {
        match exchange {
            Ok(exchange) => {
                let exchange = Mutex::new(Some(Box::new(exchange)));
                let connection = Box::new(Connection { exchange, layer: OnceLock::new() });
                // SAFETY: libsasl2 passes a place for it.
                unsafe { *context = Box::into_raw(connection).cast() };
                Code::Ok as c_int
            }
            Err(error) => {
                let name = offer.mechanism.name;
                host.set_error(&format!("{name}: {error}"));
                error.code() as c_int
            }
        }
    }

    /// The one that a context of libsasl2's is.
    ///
    /// # Safety
    /// The context is null, or one of this type that was not disposed of.
    pub unsafe fn of<'a>(context: *mut c_void) -> Option<&'a Self> {
        // SAFETY: the caller's promise.
        unsafe { context.cast::<Self>().as_ref() }
    }

    /// Its security layer, if it has agreed on one.
    pub fn layer(&self) -> Option<&Layer> {
        self.layer.get()
    }

    /// One step: `work` drives the session and says how it went, or gives the code to return at once.
    pub fn step(
        &self,
        host: Host,
        output: Output,
        out: *mut OutParams,
        work: impl FnOnce(&mut Exchange<T>) -> Result<Outcome, c_int>,
    ) -> c_int {
        output.set(ptr::null(), 0);
        let taken = self.exchange.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut exchange) = taken else {
            host.set_error("the exchange is over, or under way already");
            return Code::Fail as c_int;
        };
        let context = ptr::from_ref(self).cast_mut().cast();
        let result = crate::shielded(None, || {
            let code = match work(&mut exchange) {
                Ok(outcome) => exchange.ended(outcome, host, context, &self.layer, output, out),
                Err(code) => code,
            };
            Some((exchange, code))
        });
        match result {
            Some((exchange, code)) => {
                *self.exchange.lock().unwrap_or_else(PoisonError::into_inner) = Some(exchange);
                code
            }
            None => {
                output.set(ptr::null(), 0);
                host.set_error(DEFECT);
                Code::Fail as c_int
            }
        }
    }

    /// Ends it; gives what the side has to give back.
    ///
    /// # Safety
    /// The context is null, or one of this type, and is not used again.
    pub unsafe fn dispose(context: *mut c_void) -> Option<T> {
        if context.is_null() {
            return None;
        }
        // SAFETY: it came from Box::into_raw in `begin`.
        let connection = unsafe { Box::from_raw(context.cast::<Self>()) };
        let exchange = connection.exchange.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        Some(exchange.own)
    }
}

/// The number of a callback as the functions of C want it.
pub fn number(id: c_ulong) -> c_int {
    id as c_int
}
