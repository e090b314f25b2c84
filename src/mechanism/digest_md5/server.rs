//! The server of DIGEST-MD5.

use crate::config::Config;
use crate::contract::{Context, Established, Event, Question, Side, State, Step};
use crate::error::{Application, Error, Malformed, PeerMisbehaved, Refused, Subject};
use crate::secret::ct_eq;
use crate::store::check::password_or_mock;
use crate::wire::digest;

use super::messages::{print_response_auth, Challenge, Response, CHALLENGE_LIMIT};
use super::protection::{Offer, Protection};
use super::quality::Qop;
use super::response::{Exchange, NameEncoding, Proof, SessionKey};

const MESSAGE: &str = "digest-response";

pub struct AwaitBegin;

struct AwaitResponse {
    nonce: Vec<u8>,
    realm: Option<String>,
    offer: Offer,
}

struct AwaitCredential {
    exchange: Exchange,
    response: [u8; 32],
    protection: Protection,
}

impl State for AwaitBegin {
    /// An initial response asks for subsequent authentication with a nonce of another exchange. A server that no longer knows
    /// the nonce sends a new challenge (RFC 2831 §2.2.2). This server stores no nonces of other exchanges.
    fn step(self: Box<Self>, _: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let named = [cx.config.realm().unwrap_or_default(), &cx.config.host];
        let realm = named.into_iter().find(|name| !name.is_empty()).map(str::to_owned);
        if realm.as_ref().is_some_and(|realm| !digest::is_quotable(realm.as_bytes())) {
            return Err(unusable_realm("holds a control character (RFC 2831 section 7.1)"));
        }
        let challenge = Challenge {
            realms: realm.into_iter().collect(),
            nonce: cx.world.random.nonce()?.into_bytes(),
            offer: Offer::of_server(cx.config)?,
            utf8: true,
        };
        let message = challenge.print();
        if message.len() >= CHALLENGE_LIMIT {
            return Err(unusable_realm("makes the challenge longer than 2047 bytes (RFC 2831 section 2.1.1)"));
        }
        let Challenge { mut realms, nonce, offer, .. } = challenge;
        Ok(Step::Send(message, Box::new(AwaitResponse { nonce, realm: realms.pop(), offer })))
    }
}

fn unusable_realm(reason: &'static str) -> Error {
    Application::Unusable { what: Subject::ServerRealm, reason }.into()
}

impl State for AwaitResponse {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let malformed = |reason| Error::malformed(MESSAGE, reason);
        let misbehaved = |reason| Error::misbehaved(MESSAGE, reason);
        let response = Response::parse(event.received(MESSAGE)?)?;
        let protection = response.protection;
        if response.nonce != self.nonce {
            return Err(misbehaved(PeerMisbehaved::NonceMismatch));
        }
        if !self.offer.has(protection.qop) {
            return Err(misbehaved(PeerMisbehaved::NotOffered("qop")));
        }
        let enciphered = protection.cipher.is_some_and(|cipher| self.offer.has_cipher(cipher));
        if protection.qop == Qop::Confidentiality && !enciphered {
            return Err(misbehaved(PeerMisbehaved::NotOffered("cipher")));
        }
        check_digest_uri(&response.digest_uri, cx.config)?;
        let (realm, named) = match self.realm {
            None => {
                let given = response.realm.unwrap_or_default();
                let named = name(&given, response.utf8, "realm").map_err(malformed)?;
                (given, named)
            }
            Some(offered) => {
                let given = response.realm.ok_or_else(|| malformed(Malformed::Missing("realm")))?;
                // Without charset=utf-8, some clients convert the realm to ISO 8859-1, others repeat it unchanged.
                if given != offered.as_bytes() && digest::decode(&given, response.utf8, "realm") != Ok(offered.clone())
                {
                    return Err(misbehaved(PeerMisbehaved::NotOffered("realm")));
                }
                (given, offered)
            }
        };
        let authcid = name(&response.username, response.utf8, "username").map_err(malformed)?;
        let authzid = match &response.authzid {
            Some(authzid) => Some(digest::decode(authzid, true, "authzid").map_err(malformed)?),
            None => None,
        };
        let question = Question::Credentials {
            kind: cx.mechanism.credential,
            authcid: authcid.clone(),
            authzid: authzid.clone(),
            realm: Some(named),
        };
        let exchange = Exchange {
            authcid,
            authzid,
            realm,
            nonce: response.nonce,
            cnonce: response.cnonce,
            digest_uri: response.digest_uri,
            qop: protection.qop,
        };
        Ok(Step::Ask(question, Box::new(AwaitCredential { exchange, response: response.response, protection })))
    }
}

/// A name as text: UTF-8 if the response says so, else ISO 8859-1 (RFC 2831 §2.1.2). libsasl2's client never says so, but
/// sends UTF-8, so valid UTF-8 is read as UTF-8. If this is wrong, authentication fails, because the name is hashed.
fn name(bytes: &[u8], utf8: bool, field: &'static str) -> Result<String, Malformed> {
    digest::decode(bytes, utf8 || std::str::from_utf8(bytes).is_ok(), field)
}

/// `digest-uri-value = serv-type "/" host [ "/" serv-name ]`: a response for another service is refused. A service or host
/// that the program has not set is not compared.
fn check_digest_uri(uri: &[u8], config: &Config) -> Result<(), Error> {
    let mut parts = uri.splitn(3, |&b| b == b'/');
    let service = parts.next().unwrap_or_default();
    let host = parts.next().ok_or(Error::malformed(MESSAGE, Malformed::Missing("the host in digest-uri")))?;
    let same = |ours: &str, theirs: &[u8]| ours.is_empty() || ours.as_bytes().eq_ignore_ascii_case(theirs);
    if !same(&config.service, service) || !same(&config.host, host) {
        return Err(Error::misbehaved(MESSAGE, PeerMisbehaved::OtherService));
    }
    Ok(())
}

impl State for AwaitCredential {
    /// An unknown user, or one without a password, costs the same work and hears the same refusal.
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let AwaitCredential { exchange, response, protection } = *self;
        let (password, known) = password_or_mock(event.credential()?, cx.world.lookups);
        let Some((session_key, proof)) = proved(&exchange, password.expose(), &response, known) else {
            return Err(Refused::Credentials.into());
        };
        Ok(Step::Done(Established {
            last: Some(print_response_auth(&proof)),
            layer: protection.layer(Side::Server, &session_key, cx.config.max_buf)?,
            authcid: exchange.authcid,
            authzid: exchange.authzid,
            ..Established::default()
        }))
    }
}

/// The key and the server's proof, if the client has proved that it knows the password, in any of the encodings. Unknown users fail
/// after the same work as wrong passwords.
fn proved(exchange: &Exchange, password: &[u8], response: &[u8; 32], known: bool) -> Option<(SessionKey, [u8; 32])> {
    [NameEncoding::Standard, NameEncoding::NameInUtf8, NameEncoding::InUtf8].into_iter().find_map(|encoding| {
        let key = exchange.session_key(password, encoding);
        let keyed = exchange.keyed(&key);
        let right = ct_eq(&exchange.proof(Proof::Client, &keyed), response) & known;
        right.then(|| (key, exchange.proof(Proof::Server, &keyed)))
    })
}
