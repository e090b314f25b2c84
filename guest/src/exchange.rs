//! One exchange: a session of the core, and the memory that libsasl2 was given of it.

use std::ffi::{c_char, c_uint, CStr};
use std::slice;

use zeroize::Zeroizing;

use authen_sasl_rust::config::{ChannelBinding, FRAME_LIMIT};
use authen_sasl_rust::contract::{CredentialKind, Side, World};
use authen_sasl_rust::error::Error;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::world::OsRandom;
use saslplug::{disposition, Binding};

use crate::host::c_text;
use crate::offer::Offer;
use crate::pointers::{text, CommonParams, Output};

/// A session with the state of its side, `T`.
pub struct Exchange<T> {
    /// The core's session.
    pub session: Session,
    /// What the client or the server keeps besides.
    pub own: T,
    /// The message of the last step, followed by a NUL. libsasl2 may read it until the next step or the disposal.
    message: Zeroizing<Vec<u8>>,
    /// The server has accepted the client's token, without sending anything more.
    pub accepted: bool,
    /// The channel binding type for the out-parameters, and how the binding was used (`SASL_CB_DISP_*`).
    binding: Option<(Box<CStr>, c_uint)>,
}

impl<T> Exchange<T> {
    /// # Safety
    /// The texts are null or end in a NUL.
    pub unsafe fn new(side: Side, offer: &Offer, params: &CommonParams<'_>, own: T) -> Result<Self, Error> {
        let mut session = Session::new(side, authen_sasl_rust::mechanism::registry());
        let config = &mut session.config;
        // SAFETY: the caller's promise.
        let [service, host, local, remote] =
            [params.service, params.host, params.local, params.remote].map(|start| unsafe { text(start) });
        config.service = service.into();
        config.host = host.into();
        for (name, address) in [("iplocalport", local), ("ipremoteport", remote)] {
            if !address.is_empty() {
                config.set(name, Some(&address))?;
            }
        }
        config.min_ssf = params.limits.min_ssf;
        config.max_ssf = Some(params.limits.max_ssf);
        config.external_ssf = params.external_ssf;
        config.max_buf = params.limits.maxbufsize.min(FRAME_LIMIT);
        session.pick(offer.mechanism.name)?;
        Ok(Exchange { session, own, message: Zeroizing::default(), accepted: false, binding: None })
    }

    /// Takes the application's channel binding data, and how it is used (`SASL_CB_DISP_*`).
    ///
    /// # Safety
    /// The pointer is null, or the binding's fields are valid.
    pub unsafe fn bind(&mut self, binding: *const Binding, used: c_uint) -> Result<(), Error> {
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
        self.binding = Some((c_text(&kind).into_boxed_c_str(), used));
        Ok(())
    }

    /// Notes how a client has used channel binding, for the out-parameters of a server.
    pub fn set_binding_use(&mut self, used: c_uint) {
        if let Some((_, noted)) = &mut self.binding {
            *noted = used;
        } else if used != disposition::NONE {
            self.binding = Some((Box::default(), used));
        }
    }

    /// The channel binding type and how it was used, for the out-parameters.
    pub fn binding_use(&self) -> Option<(*const c_char, c_uint)> {
        self.binding.as_ref().map(|(kind, used)| (kind.as_ptr(), *used))
    }

    /// Runs `work` on the session with the world lent to it.
    pub fn run(&mut self, work: impl FnOnce(&mut Session, &mut World<'_>) -> Outcome) -> Outcome {
        work(&mut self.session, &mut World::of_process(&mut OsRandom, None))
    }

    /// Hands the session's message out, if it has one.
    pub fn send(&mut self, output: Output) {
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

    /// Whether this is a client that sends a token. Sending it does not complete the exchange: a server that refuses it answers.
    pub fn sends_token(&self) -> bool {
        let bearer = self.session.mechanism().is_some_and(|mechanism| mechanism.credential == CredentialKind::Token);
        bearer && self.session.side() == Side::Client
    }
}
