//! A server's users: they are libsasl2's, by its auxprop plugins and by sasl_checkpass. Whether one may act as another is the
//! application's to say, and libsasl2 asks it after the exchange.

use std::ffi::{c_int, c_uint, CStr, CString};

use authen_sasl_rust::contract::{Answer, Question, TokenVerdict};
use authen_sasl_rust::error::{Application, Code, Error};
use authen_sasl_rust::plugin::abi::{code, flag, OutParams, Propctx, ServerParams};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::Identity;

use crate::host::Host;

/// The password of the authentication identity, which the star stands for.
const PASSWORD: &CStr = c"*userPassword";
/// Its verifiers (RFC 5803).
const VERIFIER: &CStr = c"*authPassword";

/// `SASL_NOVERIFY`.
const NOVERIFY: c_int = Code::NoVerify as c_int;

/// The users, for the time of a step.
pub struct Users<'a> {
    host: Host,
    params: *mut ServerParams,
    out: *mut OutParams,
    /// How a verifier of the mechanism begins.
    scheme: String,
    /// Which identities of this exchange were made canonical, by their flags. The out-parameters do not tell: they may have the
    /// names of an exchange before, which has failed.
    named: &'a mut c_uint,
}

impl<'a> Users<'a> {
    /// # Safety
    /// The parameters are those of this step.
    pub unsafe fn new(
        host: Host,
        params: *mut ServerParams,
        out: *mut OutParams,
        mechanism: &str,
        named: &'a mut c_uint,
    ) -> Self {
        let name = mechanism.strip_suffix("-PLUS").unwrap_or(mechanism);
        Users { host, params, out, scheme: format!("{name}$"), named }
    }

    /// Answers a question of the session.
    ///
    /// # Errors
    /// What libsasl2 could not do. An unknown user is an answer.
    pub fn answer(&mut self, question: &Question) -> Result<Answer, Error> {
        match question {
            Question::Credentials { authcid, authzid, .. } => {
                Ok(Answer::Credential(self.credential(authcid, authzid.as_deref())?))
            }
            Question::CheckPassword { authcid, authzid, password } => {
                Ok(Answer::Verdict(self.check(authcid, authzid.as_deref(), password)?))
            }
            // libsasl2 asks the application itself.
            Question::Authorize { .. } => Ok(Answer::Verdict(true)),
            Question::Token { token, user, .. } => Ok(Answer::Token(match user {
                Some(user) if self.check(user, None, token)? => TokenVerdict::Accepted { authcid: user.clone() },
                _ => TokenVerdict::Rejected { status: "invalid_token".into(), scope: None, openid_configuration: None },
            })),
            _ => Err(Application::WrongAnswer.into()),
        }
    }

    /// Both names as libsasl2 wants them at the end. The authentication identity's was made canonical when its secret was looked up,
    /// unless there was none to look up.
    ///
    /// # Errors
    /// If libsasl2 does not take them.
    pub fn name(&mut self, identity: &Identity) -> Result<(), Error> {
        let authcid = identity.authcid.as_deref().unwrap_or_default();
        let authzid = identity.authzid.as_deref().filter(|name| !name.is_empty() && *name != authcid);
        let mut result = code::OK;
        if *self.named & flag::CU_AUTHID == 0 {
            result = self.canonicalize(authcid, identities(authcid, authzid) | flag::CU_EXTERNALLY_VERIFIED);
        }
        if let (code::OK, Some(authzid)) = (result, authzid) {
            result = self.canonicalize(authzid, flag::CU_AUTHZID);
        }
        match result {
            code::OK => Ok(()),
            code::NOUSER => Err(Error::outside(Code::BadAuth, "libsasl2 does not know the identity")),
            refused => Err(Error::outside(Code::of(refused), "libsasl2 could not make the name canonical")),
        }
    }

    fn canonicalize(&mut self, name: &str, flags: c_uint) -> c_int {
        // SAFETY: the parameters are libsasl2's.
        let (canon, conn) = unsafe { ((*self.params).canon_user, (*self.host.utils()).conn) };
        let (Some(canon), Ok(name)) = (canon, CString::new(name)) else { return code::BADPROT };
        // SAFETY: the name ends in a NUL behind its length; the out-parameters are libsasl2's.
        let result = unsafe { canon(conn, name.as_ptr(), name.as_bytes().len() as c_uint, flags, self.out) };
        if result == code::OK {
            *self.named |= flags;
        }
        result
    }

    fn propctx(&self) -> *mut Propctx {
        // SAFETY: the parameters are libsasl2's.
        unsafe { (*self.params).propctx }
    }

    /// The password or verifiers of a user. A name that nobody can have is nobody's, as an unknown one is.
    fn credential(&mut self, authcid: &str, authzid: Option<&str>) -> Result<Option<Secret>, Error> {
        let context = self.propctx();
        let names = [VERIFIER, PASSWORD];
        // SAFETY: the context is that of this connection's parameters.
        if unsafe { self.host.request(context, &names) } != code::OK {
            return Err(Error::outside(Code::Fail, "libsasl2 does not take the request for the user's properties"));
        }
        match self.canonicalize(authcid, identities(authcid, authzid)) {
            code::OK => {}
            code::NOUSER | code::BADPROT => return Ok(None),
            // slapd says no more than this of a user that it does not know; who waits outside must not hear it.
            code::FAIL => {
                self.host.log_failure("saslrust: libsasl2 could not look up the user, and gives no reason");
                return Ok(None);
            }
            refused => return Err(Error::outside(Code::of(refused), "libsasl2 could not look up the user")),
        }
        // SAFETY: likewise.
        let mut found = unsafe { self.host.properties(context, &names) }.into_iter();
        for name in names {
            // SAFETY: likewise.
            unsafe { self.host.erase(context, name) };
        }
        let (verifiers, passwords) = (found.next().unwrap_or_default(), found.next().unwrap_or_default());
        Ok(self.fitting(verifiers).or_else(|| passwords.into_iter().next()))
    }

    /// The verifier of the mechanism's hash.
    fn fitting(&self, verifiers: Vec<Secret>) -> Option<Secret> {
        verifiers.into_iter().find(|text| text.expose().starts_with(self.scheme.as_bytes()))
    }

    /// Is it the user's password? If it is, the name is made canonical as one that is known.
    fn check(&mut self, authcid: &str, authzid: Option<&str>, password: &Secret) -> Result<bool, Error> {
        if password.is_empty() || password.expose().contains(&0) {
            return Ok(false);
        }
        match self.host.check_password(authcid, password) {
            code::OK => {}
            code::BADAUTH | code::NOUSER | NOVERIFY => return Ok(false),
            refused => {
                return Err(Error::outside(Code::of(refused), "libsasl2 could not check the password (sasl_checkpass)"))
            }
        }
        match self.canonicalize(authcid, identities(authcid, authzid) | flag::CU_EXTERNALLY_VERIFIED) {
            code::OK => Ok(true),
            refused => Err(Error::outside(Code::of(refused), "libsasl2 could not make the name canonical")),
        }
    }
}

/// The identities that one name is canonical for: both, unless the client has named another one to act as. A client may name itself, too:
/// a program that logs a failure by SASL_USERNAME needs the name before there is a success. slapd takes a name without a prefix
/// only for both at once.
fn identities(authcid: &str, authzid: Option<&str>) -> c_uint {
    match authzid {
        Some(other) if !other.is_empty() && other != authcid => flag::CU_AUTHID,
        _ => flag::CU_AUTHID | flag::CU_AUTHZID,
    }
}
