//! HT (draft-schmaus-kitten-sasl-ht-09) and HT2 (draft-ietf-kitten-sasl-ht-02): a token that the server has issued earlier is proved
//! by both sides in one round trip, without being sent.
//!
//! HT is what XMPP servers and clients have deployed under that name (XEP-0484). The draft of the IETF has another form of both
//! messages and no version to tell them apart, so its mechanisms are called HT2.
//!
//! ```text
//! initiator-msg = authcid NUL HMAC(token, "Initiator" || cb-data)                           HT
//! responder-msg = HMAC(token, "Responder" || cb-data)
//! initiator-msg = authcid NUL extra NUL HMAC(token, "Initiator" || cb-data || extra)        HT2
//! responder-msg = NUL extra NUL HMAC(token, "Responder" || cb-data || extra)
//!               / %x01 failure-description
//! ```
//!
//! The proof has no nonce. Without channel binding it is the same each time, and whoever reads it can log in with it for as long as
//! the token is valid: the mechanisms are for use below TLS.

use crate::contract::{
    available, Abilities, Context, CredentialKind, Description, Established, Event, Outline, Property, Question,
    SecurityFlags, Sent, Side, State, Stateless, Step,
};
use crate::crypto::hash::Hash;
use crate::error::{printable, Error, Malformed, PeerMisbehaved, Policy, Refused};
use crate::secret::{ct_eq, Secret};
use crate::store::tokens::{self, TOKENS_LIMIT};
use crate::wire::saslprep;

/// The two forms of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Ht,
    Ht2,
}

const EXPORTER: Option<&str> = Some("tls-exporter");
const UNIQUE: Option<&str> = Some("tls-unique");
const END_POINT: Option<&str> = Some("tls-server-end-point");

pub static HT_SHA_256_NONE: Stateless = ht("HT-SHA-256-NONE", Form::Ht, Hash::Sha256, None);
pub static HT_SHA_256_UNIQ: Stateless = ht("HT-SHA-256-UNIQ", Form::Ht, Hash::Sha256, UNIQUE);
pub static HT_SHA_256_ENDP: Stateless = ht("HT-SHA-256-ENDP", Form::Ht, Hash::Sha256, END_POINT);
pub static HT_SHA_256_EXPR: Stateless = ht("HT-SHA-256-EXPR", Form::Ht, Hash::Sha256, EXPORTER);
pub static HT_SHA_512_NONE: Stateless = ht("HT-SHA-512-NONE", Form::Ht, Hash::Sha512, None);
pub static HT_SHA_512_UNIQ: Stateless = ht("HT-SHA-512-UNIQ", Form::Ht, Hash::Sha512, UNIQUE);
pub static HT_SHA_512_ENDP: Stateless = ht("HT-SHA-512-ENDP", Form::Ht, Hash::Sha512, END_POINT);
pub static HT_SHA_512_EXPR: Stateless = ht("HT-SHA-512-EXPR", Form::Ht, Hash::Sha512, EXPORTER);
pub static HT2_SHA_256_NONE: Stateless = ht("HT2-SHA-256-NONE", Form::Ht2, Hash::Sha256, None);
pub static HT2_SHA_256_UNIQ: Stateless = ht("HT2-SHA-256-UNIQ", Form::Ht2, Hash::Sha256, UNIQUE);
pub static HT2_SHA_256_ENDP: Stateless = ht("HT2-SHA-256-ENDP", Form::Ht2, Hash::Sha256, END_POINT);
pub static HT2_SHA_256_EXPR: Stateless = ht("HT2-SHA-256-EXPR", Form::Ht2, Hash::Sha256, EXPORTER);
pub static HT2_SHA_512_NONE: Stateless = ht("HT2-SHA-512-NONE", Form::Ht2, Hash::Sha512, None);
pub static HT2_SHA_512_UNIQ: Stateless = ht("HT2-SHA-512-UNIQ", Form::Ht2, Hash::Sha512, UNIQUE);
pub static HT2_SHA_512_ENDP: Stateless = ht("HT2-SHA-512-ENDP", Form::Ht2, Hash::Sha512, END_POINT);
pub static HT2_SHA_512_EXPR: Stateless = ht("HT2-SHA-512-EXPR", Form::Ht2, Hash::Sha512, EXPORTER);

const fn ht(name: &'static str, form: Form, hash: Hash, binding_type: Option<&'static str>) -> Stateless {
    let binds = binding_type.is_some();
    // A token is random (draft §5), so no dictionary holds it. A proof that is bound to no channel can be replayed.
    let security = SecurityFlags::NODICTIONARY.union(SecurityFlags::NOANONYMOUS).union(SecurityFlags::MUTUAL_AUTH);
    let security =
        if binds { security.union(SecurityFlags::NOPLAINTEXT).union(SecurityFlags::NOACTIVE) } else { security };
    Stateless {
        description: Description {
            rank: if binds { 78 } else { 58 },
            security,
            binds,
            binding_type,
            credential: CredentialKind::HtTokens(hash),
            client_needs: Abilities::AUTHCID.union(Abilities::HT_TOKEN),
            ..Description::new(name)
        },
        client: match form {
            Form::Ht => || Box::new(AwaitBegin { form: Form::Ht }),
            Form::Ht2 => || Box::new(AwaitBegin { form: Form::Ht2 }),
        },
        server: match form {
            Form::Ht => || Box::new(AwaitInitiator { form: Form::Ht }),
            Form::Ht2 => || Box::new(AwaitInitiator { form: Form::Ht2 }),
        },
        unavailable_reason: available,
        outline: match form {
            Form::Ht => |description, message| outline(Form::Ht, description, message),
            Form::Ht2 => |description, message| outline(Form::Ht2, description, message),
        },
    }
}

const INITIATOR: &str = "initiator-msg";
const RESPONDER: &str = "responder-msg";

/// `initiator-msg`.
#[derive(Debug, PartialEq, Eq)]
struct Initiator<'a> {
    authcid: &'a str,
    /// HT2: `extra-initiator-values`, which the proof covers; empty in HT.
    extra: &'a [u8],
    proof: &'a [u8],
}

impl<'a> Initiator<'a> {
    /// The proof may hold a NUL, what stands before it may not.
    fn parse(form: Form, hash: Hash, bytes: &'a [u8]) -> Result<Self, Error> {
        let malformed = |reason| Error::malformed(INITIATOR, reason);
        let (authcid, rest) = until_nul(bytes)
            .ok_or_else(|| malformed(Malformed::Missing("the NUL after the authentication identity")))?;
        let authcid =
            std::str::from_utf8(authcid).map_err(|_| malformed(Malformed::Utf8("the authentication identity")))?;
        if authcid.is_empty() {
            return Err(malformed(Malformed::Empty("the authentication identity")));
        }
        let (extra, proof) = parse_proof(form, hash, rest).map_err(malformed)?;
        Ok(Initiator { authcid, extra, proof })
    }

    fn print(&self, form: Form) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.authcid.len() + self.extra.len() + self.proof.len() + 2);
        message.extend_from_slice(self.authcid.as_bytes());
        message.push(0);
        print_proof(form, self.extra, self.proof, &mut message);
        message
    }
}

/// `responder-msg`.
#[derive(Debug, PartialEq, Eq)]
enum Responder<'a> {
    Success {
        extra: &'a [u8],
        proof: &'a [u8],
    },
    /// HT2 alone.
    Failure(&'a [u8]),
}

impl<'a> Responder<'a> {
    fn parse(form: Form, hash: Hash, bytes: &'a [u8]) -> Result<Self, Error> {
        let malformed = |reason| Error::malformed(RESPONDER, reason);
        let rest = match (form, bytes) {
            (_, []) => return Err(Error::misbehaved(RESPONDER, PeerMisbehaved::ServerProofMissing)),
            (Form::Ht, _) => bytes,
            (Form::Ht2, [0, rest @ ..]) => rest,
            (Form::Ht2, [1, reason @ ..]) => return Ok(Responder::Failure(reason)),
            (Form::Ht2, _) => return Err(malformed(Malformed::Expected("a status of 0x00 or 0x01"))),
        };
        let (extra, proof) = parse_proof(form, hash, rest).map_err(malformed)?;
        Ok(Responder::Success { extra, proof })
    }

    fn print(&self, form: Form) -> Vec<u8> {
        let mut message = Vec::new();
        match self {
            Responder::Failure(reason) => {
                message.push(1);
                message.extend_from_slice(reason);
            }
            Responder::Success { extra, proof } => {
                if form == Form::Ht2 {
                    message.push(0);
                }
                print_proof(form, extra, proof, &mut message);
            }
        }
        message
    }
}

fn until_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let nul = bytes.iter().position(|&b| b == 0)?;
    Some((&bytes[..nul], &bytes[nul + 1..]))
}

/// What both messages end with: in HT the proof, in HT2 `key-value-pairs NUL` and the proof.
fn parse_proof(form: Form, hash: Hash, bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (extra, proof) = match form {
        Form::Ht => (&[][..], bytes),
        Form::Ht2 => until_nul(bytes).ok_or(Malformed::Missing("the NUL after the extra values"))?,
    };
    if !is_pairs(extra) {
        return Err(Malformed::Character("the list of extra values"));
    }
    if proof.len() != hash.size() {
        return Err(Malformed::Expected("a proof of the hash's length"));
    }
    Ok((extra, proof))
}

fn print_proof(form: Form, extra: &[u8], proof: &[u8], message: &mut Vec<u8>) {
    if form == Form::Ht2 {
        message.extend_from_slice(extra);
        message.push(0);
    }
    message.extend_from_slice(proof);
}

/// `key-value-pairs = [ key-value-pair *( "," key-value-pair ) ]`,
/// `key-value-pair = 1*key-value-char "=" 1*key-value-char`.
fn is_pairs(text: &[u8]) -> bool {
    let is_word =
        |word: &[u8]| !word.is_empty() && word.iter().all(|b| b.is_ascii_alphanumeric() || b"/+-_".contains(b));
    text.is_empty()
        || text.split(|&b| b == b',').all(|pair| {
            let at = pair.iter().position(|&b| b == b'=');
            at.is_some_and(|at| is_word(&pair[..at]) && is_word(&pair[at + 1..]))
        })
}

fn outline(form: Form, description: &Description, message: &Sent<'_>) -> Option<Outline> {
    let hash = description.require_hash().ok()?;
    let with = |outline: Outline, extra: &[u8]| match extra {
        [] => outline.secret("hashed-token"),
        extra => outline.elided("extra-values", extra).secret("hashed-token"),
    };
    if message.from == Side::Client {
        let Initiator { authcid, extra, .. } = Initiator::parse(form, hash, message.bytes).ok()?;
        return Some(with(Outline::new(INITIATOR).text("authcid", authcid), extra));
    }
    Some(match Responder::parse(form, hash, message.bytes).ok()? {
        Responder::Success { extra, .. } => with(Outline::new(RESPONDER), extra),
        Responder::Failure(reason) => Outline::new(RESPONDER).word("failure", reason, &FAILURES),
    })
}

/// The words of `failure-description`.
const FAILURES: [&str; 3] = ["unknown-user", "invalid-token", "other-error"];

/// `cb-data`: empty where the mechanism binds to no channel.
fn binding_data<'a>(cx: &Context<'a, '_>) -> Result<&'a [u8], Error> {
    let Some(kind) = cx.mechanism.binding_type else { return Ok(&[]) };
    cx.config.binding(kind).ok_or(Policy::ChannelBindingRequired("its data went away during the exchange").into())
}

struct AwaitBegin {
    form: Form,
}

struct AwaitValues {
    form: Form,
}

struct AwaitResponder {
    form: Form,
    authcid: String,
    token: Secret,
}

impl State for AwaitBegin {
    fn step(self: Box<Self>, _: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let question = Question::Values(&[Property::Authcid, Property::HtToken]);
        Ok(Step::Ask(question, Box::new(AwaitValues { form: self.form })))
    }
}

impl State for AwaitValues {
    /// The name is not prepared: the draft has no profile for it.
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let form = self.form;
        let mut values = event.values()?;
        let authcid = values.require_text(Property::Authcid)?;
        let token = values.require_password(Property::HtToken)?;
        let data = binding_data(cx)?;
        let proof = cx.mechanism.require_hash()?.hmac(token.expose(), &[b"Initiator", data]);
        let message = Initiator { authcid: &authcid, extra: b"", proof: &proof }.print(form);
        Ok(Step::Send(message, Box::new(AwaitResponder { form, authcid, token })))
    }
}

impl State for AwaitResponder {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let hash = cx.mechanism.require_hash()?;
        let (extra, proof) = match Responder::parse(self.form, hash, event.received(RESPONDER)?)? {
            Responder::Success { extra, proof } => (extra, proof),
            Responder::Failure(reason) => return Err(refused(reason)),
        };
        let expected = hash.hmac(self.token.expose(), &[b"Responder", binding_data(cx)?, extra]);
        if !ct_eq(&expected, proof) {
            return Err(Error::misbehaved(RESPONDER, PeerMisbehaved::ServerProof));
        }
        Ok(Step::Done(Established { authcid: self.authcid, ..Established::default() }))
    }
}

/// `failure-description`, with what it means.
fn refused(reason: &[u8]) -> Error {
    let said = printable(reason);
    match reason {
        b"unknown-user" | b"invalid-token" => {
            Refused::PeerSaid(format!("{said} (wrong or expired token, or unknown user)")).into()
        }
        _ => Refused::PeerSaid(said).into(),
    }
}

struct AwaitInitiator {
    form: Form,
}

struct AwaitTokens {
    form: Form,
    authcid: String,
    extra: Box<[u8]>,
    proof: Box<[u8]>,
}

impl State for AwaitInitiator {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let form = self.form;
        let initiator = match Initiator::parse(form, cx.mechanism.require_hash()?, event.received(INITIATOR)?) {
            Ok(initiator) => initiator,
            Err(error) => return fail(form, b"other-error", error),
        };
        // A name that cannot be prepared belongs to no user, as in the other mechanisms.
        let Ok(authcid) = saslprep::query(initiator.authcid) else {
            return fail(form, b"invalid-token", Refused::HtToken.into());
        };
        let authcid = authcid.into_owned();
        let question = Question::Credentials {
            kind: cx.mechanism.credential,
            authcid: authcid.clone(),
            authzid: None,
            realm: None,
        };
        let (extra, proof) = (initiator.extra.into(), initiator.proof.into());
        Ok(Step::Ask(question, Box::new(AwaitTokens { form, authcid, extra, proof })))
    }
}

/// An HT2 client hears why: the same for an unknown user and a wrong token.
fn fail(form: Form, reason: &'static [u8], error: Error) -> Result<Step, Error> {
    match form {
        Form::Ht => Err(error),
        Form::Ht2 => Ok(Step::Fail(Responder::Failure(reason).print(form), error)),
    }
}

impl State for AwaitTokens {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let AwaitTokens { form, authcid, extra, proof } = *self;
        let issued = event.credential()?.unwrap_or_default();
        let (hash, data) = (cx.mechanism.require_hash()?, binding_data(cx)?);
        let Some((index, token)) = find(&issued, hash, &[b"Initiator", data, &extra], &proof) else {
            return fail(form, b"invalid-token", Refused::HtToken.into());
        };
        let proof = hash.hmac(token, &[b"Responder", data]);
        let last = Responder::Success { extra: b"", proof: &proof }.print(form);
        Ok(Step::Done(Established { last: Some(last), authcid, token_index: Some(index), ..Established::default() }))
    }
}

/// The token that this is the proof of, and its place. The work is the same for each number of tokens, none included.
fn find<'a>(issued: &'a Secret, hash: Hash, signed: &[&[u8]], proof: &[u8]) -> Option<(usize, &'a [u8])> {
    let mut issued = tokens::split(issued);
    let mut found = None;
    for index in 0..TOKENS_LIMIT {
        let token = issued.next().unwrap_or_default();
        let is_one = !token.is_empty();
        let key = if is_one { token } else { MOCK_TOKEN };
        if ct_eq(&hash.hmac(key, signed), proof) & is_one & found.is_none() {
            found = Some((index, token));
        }
    }
    found
}

/// What an HMAC is computed with where there is no token.
const MOCK_TOKEN: &[u8] = b"no token at all, but as long as one of 128 bits";

#[cfg(test)]
mod tests;
