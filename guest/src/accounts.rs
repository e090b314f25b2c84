//! The users of a server, which are libsasl2's: through its auxprop plugins and sasl_checkpass. Whether a user may act as another
//! one is for the application to decide; libsasl2 asks it after the exchange.

use std::ffi::{c_int, c_uint, CStr, CString};

use authen_sasl_rust::contract::{Answer, CredentialKind, Question, TokenVerdict};
use authen_sasl_rust::error::{Application, Code, Error, Refused};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::Identity;
use saslplug::{code, flag, OutParams, Propctx, ServerParams};

use crate::host::Host;

/// The password. The star means the authentication identity's.
const PASSWORD: &CStr = c"*userPassword";
/// The verifiers (RFC 5803).
const VERIFIER: &CStr = c"*authPassword";

/// `SASL_NOVERIFY`.
const NOVERIFY: c_int = Code::NoVerify as c_int;

/// The users, for the duration of a step.
pub struct Users<'a> {
    host: Host,
    params: *mut ServerParams,
    out: *mut OutParams,
    /// The flags of the identities that were canonicalized in this exchange. The out-parameters cannot be used for this: they may have
    /// the names of an earlier, failed exchange.
    canonicalized: &'a mut c_uint,
}

impl<'a> Users<'a> {
    /// # Safety
    /// The parameters are those of this step.
    pub unsafe fn new(
        host: Host,
        params: *mut ServerParams,
        out: *mut OutParams,
        canonicalized: &'a mut c_uint,
    ) -> Self {
        Users { host, params, out, canonicalized }
    }

    /// Answers a question of the session.
    ///
    /// # Errors
    /// If libsasl2 fails; [`Refused::Unusable`] if only this user is affected. An unknown user is not an error, but an answer.
    pub fn answer(&mut self, question: &Question) -> Result<Answer, Error> {
        match question {
            Question::Credentials { kind, authcid, authzid, .. } => {
                Ok(Answer::Credential(self.credential(*kind, authcid, authzid.as_deref())?))
            }
            Question::CheckPassword { authcid, authzid, password } => {
                Ok(Answer::Verdict(self.check(authcid, authzid.as_deref(), password)?))
            }
            // libsasl2 asks the application itself after the exchange.
            Question::Authorize { .. } => Ok(Answer::Verdict(true)),
            Question::Token { token, user, .. } => Ok(Answer::Token(match user {
                Some(user) if self.check(user, None, token)? => TokenVerdict::Accepted { authcid: user.clone() },
                _ => TokenVerdict::Rejected { status: "invalid_token".into(), scope: None, openid_configuration: None },
            })),
            _ => Err(Application::WrongAnswer.into()),
        }
    }

    /// Sets both names in the out-parameters, as libsasl2 expects at the end. The authcid was already canonicalized when the user's
    /// secret was looked up or checked, if the mechanism has one.
    ///
    /// # Errors
    /// If libsasl2 refuses a name.
    pub fn set_names(&mut self, identity: &Identity) -> Result<(), Error> {
        let authcid = identity.authcid.as_deref().unwrap_or_default();
        let authzid = identity.authzid.as_deref().filter(|name| !name.is_empty() && *name != authcid);
        let mut result = code::OK;
        if *self.canonicalized & flag::CU_AUTHID == 0 {
            result = self.canonicalize(authcid, identities(authcid, authzid) | flag::CU_EXTERNALLY_VERIFIED);
        }
        if let (code::OK, Some(authzid)) = (result, authzid) {
            result = self.canonicalize(authzid, flag::CU_AUTHZID);
        }
        match result {
            code::OK => Ok(()),
            code::NOUSER => Err(Error::outside(Code::BadAuth, "libsasl2 does not know the identity")),
            refused => Err(Error::outside(Code::of(refused), "libsasl2 could not canonicalize the name")),
        }
    }

    fn canonicalize(&mut self, name: &str, flags: c_uint) -> c_int {
        // SAFETY: the parameters are libsasl2's.
        let (canon, conn) = unsafe { ((*self.params).canon_user, (*self.host.utils()).conn) };
        let (Some(canon), Ok(name)) = (canon, CString::new(name)) else { return code::BADPROT };
        // SAFETY: the name ends in a NUL after its length; the out-parameters are libsasl2's.
        let result = unsafe { canon(conn, name.as_ptr(), name.as_bytes().len() as c_uint, flags, self.out) };
        if result == code::OK {
            *self.canonicalized |= flags;
        }
        result
    }

    fn propctx(&self) -> *mut Propctx {
        // SAFETY: the parameters are libsasl2's.
        unsafe { (*self.params).propctx }
    }

    /// A verifier of this kind, or the password of a user. An invalid name is treated like that of an unknown user.
    fn credential(
        &mut self,
        kind: CredentialKind,
        authcid: &str,
        authzid: Option<&str>,
    ) -> Result<Option<Secret>, Error> {
        let context = self.propctx();
        let names = [VERIFIER, PASSWORD];
        // SAFETY: the context is that of this connection's parameters.
        if unsafe { self.host.request(context, &names) } != code::OK {
            return Err(Error::outside(Code::Fail, "libsasl2 has refused the request for the user's properties"));
        }
        match self.canonicalize(authcid, identities(authcid, authzid)) {
            code::OK => {}
            code::NOUSER | code::BADPROT => return Ok(None),
            refused => return Err(failed(refused, "libsasl2 could not look up the user")),
        }
        // SAFETY: likewise.
        let mut found = unsafe { self.host.properties(context, &names) }.into_iter();
        for name in names {
            // SAFETY: likewise.
            unsafe { self.host.erase(context, name) };
        }
        let (verifiers, passwords) = (found.next().unwrap_or_default(), found.next().unwrap_or_default());
        Ok(own_verifier(kind, verifiers).or_else(|| passwords.into_iter().next()))
    }

    /// Checks a password. If it is correct, canonicalizes the name as an authenticated one.
    fn check(&mut self, authcid: &str, authzid: Option<&str>, password: &Secret) -> Result<bool, Error> {
        if password.is_empty() || password.expose().contains(&0) {
            return Ok(false);
        }
        match self.host.check_password(authcid, password) {
            code::OK => {}
            code::BADAUTH | code::NOUSER | NOVERIFY => return Ok(false),
            // Either the user is unknown or the password check is unavailable. A look-up of the name shows which.
            code::FAIL if self.canonicalize(authcid, identities(authcid, authzid)) != code::OK => {
                return Err(failed(code::FAIL, "libsasl2 could not look up the user"));
            }
            refused => {
                return Err(Error::outside(Code::of(refused), "libsasl2 could not check the password (sasl_checkpass)"))
            }
        }
        match self.canonicalize(authcid, identities(authcid, authzid) | flag::CU_EXTERNALLY_VERIFIED) {
            code::OK => Ok(true),
            refused => Err(Error::outside(Code::of(refused), "libsasl2 could not canonicalize the name")),
        }
    }
}

/// The verifier with the hash that is computed with.
fn own_verifier(kind: CredentialKind, verifiers: Vec<Secret>) -> Option<Secret> {
    let CredentialKind::Scram(hash) = kind else { return None };
    let scheme = format!("SCRAM-{}$", hash.name());
    verifiers.into_iter().find(|text| text.expose().starts_with(scheme.as_bytes()))
}

/// The error of a failed look-up. Codes that affect all users end the exchange. All others are treated as an unknown user, so that the
/// client does not see a difference: slapd returns SASL_FAIL for an unknown user.
fn failed(result: c_int, what: &str) -> Error {
    let reason = Code::of(result);
    let error = Error::outside(reason, format!("{what} ({})", reason.name()));
    match reason {
        Code::NoMem | Code::BadParam | Code::Unavail | Code::TryAgain | Code::ConfigErr => error,
        _ => Refused::Unusable(Box::new(error)).into(),
    }
}

/// The identities for which to canonicalize the authcid: both, unless the client wants to act as another user. (An authzid may also
/// be the client's own name.) So a program that logs a failure has SASL_USERNAME before a success, and slapd accepts a name without a
/// prefix only for both identities at once.
fn identities(authcid: &str, authzid: Option<&str>) -> c_uint {
    match authzid {
        Some(other) if !other.is_empty() && other != authcid => flag::CU_AUTHID,
        _ => flag::CU_AUTHID | flag::CU_AUTHZID,
    }
}
