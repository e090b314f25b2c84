//! The part of the C surface that carries questions to the application and its answers back; the rules
//! are those of the crate.

use authen_sasl_rust::contract::{Answer, CredentialKind, Property, Question, TokenVerdict, Values};
use authen_sasl_rust::error::{Code, Error, Subject};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::{Outcome, Session};

use super::handle::Handle;
use super::numbers::{question_kind, PROPERTIES};
use super::shielded::shielded;
use super::slice::{Slice, NONE};

/// One value of a client's application.
#[repr(C)]
pub struct Value {
    property: u32,
    bytes: Slice,
}

/// A question, flattened; `kind` decides which fields are used.
#[repr(C)]
pub struct FlatQuestion {
    kind: i32,
    wanted: u32,
    name: Slice,
    authzid: Slice,
    secret: Slice,
    realm: Slice,
    host: Slice,
    port: Slice,
    prompt: Slice,
    stored: Slice,
}

/// The pending question, flattened. Gives 0 if there is none.
///
/// # Safety
/// The module's rules; `out` is valid for writing.
#[no_mangle]
pub unsafe extern "C" fn asr_question_get(handle: *mut Handle, out: *mut FlatQuestion) -> i32 {
    shielded(0, || {
        // SAFETY: the module's rules.
        let Handle { session, lent, .. } = unsafe { &mut *handle };
        let Some(question) = session.question() else { return 0 };
        let mut flat = FlatQuestion {
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
        match question {
            Question::Values(properties) => {
                flat.kind = question_kind::VALUES;
                flat.wanted = properties.iter().fold(0, |bits, p| bits | 1 << (*p as u8));
                // The session refuses an authorization identity that the mechanism cannot send, so it must know.
                if session.mechanism().is_some_and(|mechanism| !mechanism.carries_authzid) {
                    flat.wanted |= 1 << (Property::Authzid as u8);
                }
            }
            Question::Realm { offered } => {
                flat.kind = question_kind::REALM;
                flat.wanted = u32::try_from(offered.len()).unwrap_or(0);
            }
            Question::CheckPassword { authcid, authzid, password } => {
                flat.kind = question_kind::CHECK_PASSWORD;
                flat.name = Slice::of(authcid.as_bytes());
                flat.authzid = Slice::of_text(authzid.as_deref());
                flat.secret = Slice::of(password.expose());
                flat.realm = Slice::of_text(session.config.realm());
            }
            Question::Credentials { kind, authcid, authzid, realm } => {
                flat.kind = match kind {
                    CredentialKind::HtTokens(_) => question_kind::HT_TOKENS,
                    CredentialKind::Otp => question_kind::OTP_STATE,
                    _ => question_kind::CREDENTIALS,
                };
                flat.name = Slice::of(authcid.as_bytes());
                flat.authzid = Slice::of_text(authzid.as_deref());
                flat.realm = Slice::of_text(realm.as_deref().or(session.config.realm()));
            }
            Question::Replace { authcid, realm, old, new, .. } => {
                flat.kind = question_kind::OTP_REPLACE;
                flat.name = Slice::of(authcid.as_bytes());
                flat.secret = Slice::of(old.expose());
                flat.prompt = Slice::of(new.expose());
                flat.realm = Slice::of_text(realm.as_deref().or(session.config.realm()));
            }
            Question::Authorize { authcid, authzid, realm } => {
                flat.kind = question_kind::AUTHORIZE;
                flat.name = Slice::of(authcid.as_bytes());
                flat.authzid = Slice::of(authzid.as_bytes());
                flat.realm = Slice::of_text(realm.as_deref());
            }
            Question::Token { token, user, host, port } => {
                flat.kind = question_kind::TOKEN;
                flat.name = Slice::of_text(user.as_deref());
                flat.secret = Slice::of(token.expose());
                flat.host = Slice::of_text(host.as_deref());
                flat.port = Slice::of_text(port.as_deref());
            }
            Question::Challenge { challenge, prompt, echo } => {
                flat.kind = question_kind::CHALLENGE;
                flat.wanted = u32::from(*echo);
                flat.name = Slice::of(challenge.as_bytes());
                flat.prompt = Slice::of(prompt.as_bytes());
            }
            Question::SetVerifier { authcid, realm, verifier, stored } => {
                flat.kind = question_kind::SET_VERIFIER;
                flat.name = Slice::of(authcid.as_bytes());
                flat.realm = Slice::of_text(realm.as_deref());
                flat.secret = Slice::of(verifier.expose());
                flat.stored = stored.as_ref().map_or(NONE, |stored| Slice::of(stored.expose()));
            }
            Question::KeepKeys { authcid, keys } => {
                *lent = keys.print();
                flat.kind = question_kind::KEEP_KEYS;
                flat.name = Slice::of(authcid.as_bytes());
                flat.secret = Slice::of(lent.expose());
            }
            Question::Canonicalize { authzid, name, realm } => {
                flat.kind = question_kind::CANONICALIZE;
                flat.wanted = u32::from(*authzid);
                flat.name = Slice::of(name.as_bytes());
                flat.realm = Slice::of_text(realm.as_deref());
            }
        }
        // SAFETY: the module's rules.
        unsafe { out.write(flat) };
        1
    })
}

/// The realm at `index` of those that the pending question offers.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_offered_realm(handle: *const Handle, index: u32) -> Slice {
    shielded(NONE, || {
        // SAFETY: the module's rules.
        match unsafe { &(*handle).session }.question() {
            Some(Question::Realm { offered }) => Slice::of_text(offered.get(index as usize).map(String::as_str)),
            _ => NONE,
        }
    })
}

/// Answers with the values of a client.
///
/// # Safety
/// The module's rules; `values` points to `count` of them.
#[no_mangle]
pub unsafe extern "C" fn asr_answer_values(handle: *mut Handle, values: *const Value, count: usize) -> i32 {
    // SAFETY: the module's rules.
    let (handle, given) = unsafe { (&mut *handle, std::slice::from_raw_parts(values, count)) };
    let mut values = Values::default();
    for value in given {
        // SAFETY: the module's rules.
        if let (Some(property), Some(bytes)) = (PROPERTIES.get(value.property as usize), unsafe { value.bytes.bytes() })
        {
            values.push(*property, Secret::new(bytes));
        }
    }
    handle.run(|session, world| session.answer(Answer::Values(values), world))
}

/// Answers with a realm or a canonical name; absent declines.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_answer_text(handle: *mut Handle, text: Slice) -> i32 {
    // SAFETY: the module's rules.
    let handle = unsafe { &mut *handle };
    let what = match handle.session.question() {
        Some(Question::Realm { .. }) => Subject::Realm,
        _ => Subject::CanonicalName,
    };
    // SAFETY: the module's rules.
    let text = unsafe { text.name(what) };
    handle.run(|session, world| match text {
        Ok(text) => session.answer(Answer::Text(text), world),
        Err(error) => session.abort(error),
    })
}

/// Answers yes or no.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_answer_verdict(handle: *mut Handle, verdict: i32) -> i32 {
    // SAFETY: the module's rules.
    let handle = unsafe { &mut *handle };
    handle.run(|session, world| session.answer(Answer::Verdict(verdict != 0), world))
}

/// Answers with a password, a verifier, or tokens with a NUL between them; absent for an unknown user.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_answer_credential(handle: *mut Handle, credential: Slice) -> i32 {
    // SAFETY: the module's rules.
    let (handle, credential) = unsafe { (&mut *handle, credential.bytes().map(Secret::new)) };
    handle.run(|session, world| session.answer(Answer::Credential(credential), world))
}

/// Answers with a value that is no verifier, or are no tokens.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_answer_no_key(handle: *mut Handle) -> i32 {
    // SAFETY: the module's rules.
    let handle = unsafe { &mut *handle };
    handle.run(|session, world| {
        let fault = match session.question() {
            Some(Question::Credentials { kind: CredentialKind::HtTokens(_), .. }) => {
                "callback ht_tokens returned neither a token nor an array of tokens \
                (each a string without NUL, or a hash reference with token, and perhaps expires and mechanism)"
            }
            Some(Question::Credentials { kind: CredentialKind::Otp, .. }) => {
                "callback otp_state returned a reference that is not a state (a string that otp_state of Authen::SASL::Rust makes)"
            }
            _ => {
                "callback getsecret returned a reference that is not a SCRAM verifier \
                (a hash reference with mechanism, iterations, salt, stored_key and server_key)"
            }
        };
        session.answer_unusable(Error::outside(Code::BadParam, fault), world)
    })
}

/// Answers that the verifier could not be stored; the login goes on.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_answer_not_stored(handle: *mut Handle, reason: Slice) -> i32 {
    // SAFETY: the module's rules.
    let (handle, reason) = unsafe { (&mut *handle, reason.text().unwrap_or_default()) };
    let why = format!("callback setverifier died: {}", reason.trim_end().escape_debug());
    handle.run(|session, _| not_stored(session, why).unwrap_or(Outcome::Over))
}

/// If the session waits for a verifier to be stored: goes on without.
pub(super) fn not_stored(session: &mut Session, reason: String) -> Option<Outcome> {
    let goes_on = session.answer_not_stored(Error::outside(Code::Fail, reason));
    goes_on.then(|| if session.message_absent() { Outcome::Absent } else { Outcome::Send })
}

/// Answers with the identity that a token belongs to; without one, the token is refused with the other three texts.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_answer_token(
    handle: *mut Handle,
    identity: Slice,
    status: Slice,
    scope: Slice,
    openid_configuration: Slice,
) -> i32 {
    // SAFETY: the module's rules.
    let (handle, identity, status, scope, openid_configuration) = unsafe {
        (&mut *handle, identity.name(Subject::TokenIdentity), status.text(), scope.text(), openid_configuration.text())
    };
    handle.run(|session, world| {
        let verdict = match identity {
            Err(error) => return session.abort(error),
            Ok(Some(authcid)) if !authcid.is_empty() => TokenVerdict::Accepted { authcid },
            Ok(_) => TokenVerdict::Rejected {
                status: status.unwrap_or_else(|| "invalid_token".into()),
                scope,
                openid_configuration,
            },
        };
        session.answer(Answer::Token(verdict), world)
    })
}
