//! The data of a connection for a plugin: the texts, limits and bindings behind its parameters.

use std::ffi::{c_int, c_uint, c_ulong, c_void, CStr, CString};
use std::ptr;

use authen_sasl_rust::config::{BindingPolicy, Config};
use authen_sasl_rust::contract::Side;
use authen_sasl_rust::error::{Application, Error, Subject};

use super::connection::Connection;
use saslplug::{
    property, security, Binding, Callback, CanonUser, ClientParams, OutParams, Propctx, SecurityProperties,
    ServerParams,
};

/// `SASL_SUCCESS_DATA`: a server's last message may be sent with its success. The session handles protocols that cannot.
const SUCCESS_DATA: c_uint = 4;

/// The smallest frame of a usable layer (RFC 2831 §2.1.1 has 16 bytes of overhead).
const MIN_FRAME: u32 = 17;

/// The facts of a connection. They must not move while the plugin may read them.
pub struct ConnectionFacts {
    service: CString,
    host: CString,
    realm: Option<CString>,
    local: Option<CString>,
    remote: Option<CString>,
    binding: Option<Box<Bound>>,
    limits: [c_uint; 4],
    external_ssf: c_uint,
}

/// The limits of a security layer, which the host enforces.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Minimum strength, minus the external strength.
    pub least: u32,
    /// Maximum strength, likewise.
    pub most: u32,
    /// Longest frame that this side accepts from its peer.
    pub max_received: usize,
}

struct Bound {
    described: Binding,
    kind: CString,
    _data: Vec<u8>,
}

fn text(what: Subject, value: &str) -> Result<CString, Error> {
    let reason = "holds a NUL character, which ends a text for a plugin";
    CString::new(value).map_err(|_| Application::Unusable { what, reason }.into())
}

impl ConnectionFacts {
    /// Takes them from the options.
    ///
    /// # Errors
    /// [`Application::Unusable`] for a text with a NUL.
    pub fn of(config: &Config, side: Side) -> Result<ConnectionFacts, Error> {
        let optional = |what, value: Option<&str>| value.map(|value| text(what, value)).transpose();
        let binding = match config.bindings().next() {
            None => None,
            Some(binding) => {
                let kind = text(Subject::ChannelBinding, &binding.kind)?;
                let data = binding.data.clone();
                let described = Binding {
                    name: kind.as_ptr(),
                    critical: c_int::from(config.binding_policy == BindingPolicy::Require),
                    len: data.len() as c_ulong,
                    data: data.as_ptr(),
                };
                Some(Box::new(Bound { described, kind, _data: data }))
            }
        };
        let frame = if config.max_buf < MIN_FRAME { 0 } else { config.max_buf };
        Ok(ConnectionFacts {
            service: text(Subject::Option("service"), &config.service)?,
            host: text(Subject::Option("host"), &config.host)?,
            realm: optional(Subject::Option("realm"), config.realm())?,
            local: optional(Subject::Option("iplocalport"), config.local())?,
            remote: optional(Subject::Option("ipremoteport"), config.remote())?,
            binding,
            limits: [config.min_ssf, most(config, side), frame, security::theirs(config.secflags)],
            external_ssf: config.external_ssf,
        })
    }

    /// The server's host (serverFQDN).
    pub fn host(&self) -> &CStr {
        &self.host
    }

    fn props(&self) -> SecurityProperties {
        let [min_ssf, max_ssf, maxbufsize, security_flags] = self.limits;
        let none = ptr::null();
        SecurityProperties { min_ssf, max_ssf, maxbufsize, security_flags, property_names: none, property_values: none }
    }

    fn cbinding(&self) -> *const Binding {
        self.binding.as_ref().map_or(ptr::null(), |bound| &raw const bound.described)
    }

    /// Hides the binding from the plugin.
    pub fn forget_binding(&mut self) {
        self.binding = None;
    }

    /// The type of the binding that the plugin was given.
    pub fn binding_kind(&self) -> Option<&CStr> {
        self.binding.as_ref().map(|bound| bound.kind.as_c_str())
    }

    /// True if the exchange must be bound.
    pub fn binding_required(&self) -> bool {
        self.binding.as_ref().is_some_and(|bound| bound.described.critical != 0)
    }

    /// The limits of a security layer.
    pub fn limits(&self) -> Limits {
        let left = |limit: u32| limit.saturating_sub(self.external_ssf);
        let [least, most, max_received, _] = self.limits;
        Limits { least: left(least), most: left(most), max_received: max_received as usize }
    }

    /// Sets the properties of the connection that a plugin may read with `getprop`. They point into these facts, so the connection must
    /// not be used after the facts are dropped.
    pub fn tell(&self, connection: &Connection, mechanism: &'static CStr) {
        let texts = [
            (property::SERVICE, Some(&self.service)),
            (property::SERVERFQDN, Some(&self.host)),
            (property::DEFUSERREALM, self.realm.as_ref()),
            (property::IPLOCALPORT, self.local.as_ref()),
            (property::IPREMOTEPORT, self.remote.as_ref()),
        ];
        for (number, value) in texts {
            if let Some(value) = value {
                connection.set_pointer(number, value.as_ptr().cast());
            }
        }
        connection.set_pointer(property::MECHNAME, mechanism.as_ptr().cast());
        connection.set_number(property::SSF_EXTERNAL, self.external_ssf);
        connection.set_security(self.props());
        if self.binding.is_some() {
            connection.set_pointer(property::CHANNEL_BINDING, self.cbinding().cast());
        }
    }

    /// A client's parameters. `disposition` is `SASL_CB_DISP_*`.
    pub fn client(
        &self,
        connection: &Connection,
        prompts: *const Callback,
        canon_user: CanonUser,
        disposition: c_uint,
    ) -> ClientParams {
        ClientParams {
            service: self.service.as_ptr(),
            serverFQDN: self.host.as_ptr(),
            clientFQDN: c"".as_ptr(),
            utils: connection.utils(),
            prompt_supp: prompts,
            iplocalport: pointer(self.local.as_ref()),
            ipremoteport: pointer(self.remote.as_ref()),
            servicelen: length(Some(&self.service)),
            slen: length(Some(&self.host)),
            clen: 0,
            iploclen: length(self.local.as_ref()),
            ipremlen: length(self.remote.as_ref()),
            props: self.props(),
            external_ssf: self.external_ssf,
            gss_creds: ptr::null(),
            cbinding: self.cbinding(),
            http_request: ptr::null(),
            spare_ptr4: ptr::null_mut(),
            canon_user: Some(canon_user),
            spare_fptr1: None,
            cbindingdisp: disposition,
            log_level: connection.log_level(),
            spare_int3: 0,
            flags: 0,
            param_version: 0,
        }
    }

    /// A server's parameters.
    pub fn server(
        &self,
        connection: &Connection,
        callbacks: *const Callback,
        canon_user: CanonUser,
        propctx: *mut Propctx,
    ) -> ServerParams {
        ServerParams {
            service: self.service.as_ptr(),
            appname: self.service.as_ptr(),
            serverFQDN: self.host.as_ptr(),
            user_realm: pointer(self.realm.as_ref()),
            iplocalport: pointer(self.local.as_ref()),
            ipremoteport: pointer(self.remote.as_ref()),
            servicelen: length(Some(&self.service)),
            applen: length(Some(&self.service)),
            slen: length(Some(&self.host)),
            urlen: length(self.realm.as_ref()),
            iploclen: length(self.local.as_ref()),
            ipremlen: length(self.remote.as_ref()),
            log_level: connection.log_level(),
            utils: connection.utils(),
            callbacks,
            props: self.props(),
            external_ssf: self.external_ssf,
            transition: None,
            canon_user: Some(canon_user),
            propctx,
            gss_creds: ptr::null(),
            cbinding: self.cbinding(),
            http_request: ptr::null(),
            spare_ptr4: ptr::null_mut(),
            spare_fptr1: None,
            spare_fptr2: None,
            spare_int1: 0,
            spare_int2: 0,
            spare_int3: 0,
            flags: SUCCESS_DATA,
            param_version: 0,
        }
    }
}

/// Maximum strength, external strength included. A server may have disabled one kind of layer.
fn most(config: &Config, side: Side) -> u32 {
    let beyond = match side {
        Side::Server if config.no_confidentiality && config.no_integrity => 0,
        Side::Server if config.no_confidentiality => 1,
        _ => u32::MAX,
    };
    config.max_ssf().min(config.external_ssf.saturating_add(beyond))
}

fn pointer(text: Option<&CString>) -> *const std::ffi::c_char {
    text.map_or(ptr::null(), |text| text.as_ptr())
}

fn length(text: Option<&CString>) -> c_uint {
    text.map_or(0, |text| text.as_bytes().len() as c_uint)
}

/// Empty out-parameters.
pub fn nothing_out() -> OutParams {
    let none: *const c_void = ptr::null();
    OutParams {
        doneflag: 0,
        user: ptr::null(),
        authid: ptr::null(),
        ulen: 0,
        alen: 0,
        maxoutbuf: 0,
        mech_ssf: 0,
        encode_context: ptr::null_mut(),
        encode: None,
        decode_context: ptr::null_mut(),
        decode: None,
        client_creds: ptr::null_mut(),
        gss_peer_name: none,
        gss_local_name: none,
        cbindingname: ptr::null(),
        spare_fptr1: None,
        spare_fptr2: None,
        cbindingdisp: 0,
        spare_int2: 0,
        spare_int3: 0,
        spare_int4: 0,
        param_version: 0,
    }
}
