//! The client of DIGEST-MD5.

use std::borrow::Cow;

use crate::config::Config;
use crate::contract::{Context, Established, Event, Property, Question, Side, State, Step};
use crate::error::{Application, Error, PeerMisbehaved, Refused, Subject};
use crate::secret::{ct_eq, Secret};
use crate::wire::digest;

use super::messages::{parse_response_auth, Challenge, Response, RESPONSE_LIMIT};
use super::protection::Protection;
use super::response::{Exchange, NameEncoding, Proof, SessionKey};

pub struct AwaitChallenge;

struct AwaitValues {
    challenge: Challenge,
}

struct AwaitRealm {
    challenge: Challenge,
    identity: Identity,
}

/// The application's values, before the realm is known.
struct Identity {
    authcid: String,
    authzid: Option<String>,
    password: Secret,
    serv_name: Option<String>,
}

struct AwaitProof {
    proof: [u8; 32],
    session_key: SessionKey,
    protection: Protection,
    server_max_buf: u32,
    authcid: String,
    authzid: Option<String>,
    /// The server may have hashed the same name and password in another charset.
    may_differ: bool,
}

impl State for AwaitChallenge {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let challenge = Challenge::parse(event.received("digest-challenge")?)?;
        challenge.offer.choose(cx.config)?;
        Ok(Step::Ask(
            Question::Values(&[Property::Authcid, Property::Authzid, Property::Password, Property::ServName]),
            Box::new(AwaitValues { challenge }),
        ))
    }
}

impl State for AwaitValues {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let mut values = event.values()?;
        let authcid = values.require_text(Property::Authcid)?;
        let authzid = values.optional_text(Property::Authzid)?;
        let password = values.require(Property::Password)?;
        let serv_name = values.optional_text(Property::ServName)?;
        if password.is_empty() {
            return Err(Application::Empty(Subject::Password).into());
        }
        let challenge = self.challenge;
        // Dovecot without realms sends an empty one.
        let offered = challenge.realms.iter().filter(|realm| !realm.is_empty()).cloned().collect();
        let identity = Identity { authcid, authzid, password, serv_name };
        Ok(Step::Ask(Question::Realm { offered }, Box::new(AwaitRealm { challenge, identity })))
    }
}

impl State for AwaitRealm {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let AwaitRealm { challenge, identity } = *self;
        let Identity { authcid, authzid, password, serv_name } = identity;
        let answer = event.text()?.filter(|realm| !realm.is_empty());
        let offered = challenge.realms.iter().find(|realm| !realm.is_empty()).or(challenge.realms.first());
        let realm = match answer.as_ref().or(offered) {
            // The application's choice is used, listed or not: RFC 2831 §2.1.2 has only a SHOULD, and servers have realms that they
            // do not list. Without a realm none is sent, which means an empty one.
            Some(realm) => Some(encode(realm, challenge.utf8, Property::Realm)?.into_owned()),
            None => None,
        };
        let username = encode(&authcid, challenge.utf8, Property::Authcid)?.into_owned();
        if let Some(password) = password.expose_str() {
            digest::encode(password, challenge.utf8).ok_or(unfit(Property::Password))?;
        }
        let authzid_bytes = match &authzid {
            Some(authzid) => Some(encode(authzid, true, Property::Authzid)?.into_owned()),
            None => None,
        };
        let protection = challenge.offer.choose(cx.config)?;
        let server_max_buf = challenge.offer.max_buf;
        let exchange = Exchange {
            authcid,
            authzid,
            digest_uri: digest_uri(cx.config, realm.as_deref(), serv_name.as_deref())?,
            realm: realm.clone().unwrap_or_default(),
            nonce: challenge.nonce,
            cnonce: cx.world.random.nonce()?.into_bytes(),
            qop: protection.qop,
        };
        let encoding = if cx.config.digest_md5_utf8() { NameEncoding::InUtf8 } else { NameEncoding::Standard };
        let may_differ = exchange.encodings_differ(password.expose(), encoding);
        let session_key = exchange.session_key(password.expose(), encoding);
        let keyed = exchange.keyed(&session_key);
        let proof = exchange.proof(Proof::Server, &keyed);
        let response = exchange.proof(Proof::Client, &keyed);
        let Exchange { authcid, authzid, nonce, cnonce, digest_uri, .. } = exchange;
        let utf8 = challenge.utf8;
        let message =
            Response { username, realm, nonce, cnonce, digest_uri, authzid: authzid_bytes, response, protection, utf8 }
                .print();
        if message.len() >= RESPONSE_LIMIT {
            return Err(unusable(Subject::Response, "is longer than 4095 bytes (RFC 2831 section 2.1.2)"));
        }
        Ok(Step::Send(
            message,
            Box::new(AwaitProof { proof, session_key, protection, server_max_buf, authcid, authzid, may_differ }),
        ))
    }
}

impl State for AwaitProof {
    /// The message after it is empty, if the protocol needs one.
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        const MESSAGE: &str = "response-auth";
        let bytes = event.received(MESSAGE)?;
        let proof = parse_response_auth(bytes).map_err(|reason| Error::malformed(MESSAGE, reason));
        if self.may_differ && !matches!(proof, Ok(Some(_))) {
            return Err(Refused::OtherCharset.into());
        }
        let proof = proof?.ok_or_else(|| Error::misbehaved(MESSAGE, PeerMisbehaved::ServerProofMissing))?;
        if !ct_eq(&proof, &self.proof) {
            return Err(Error::misbehaved(MESSAGE, PeerMisbehaved::ServerProof));
        }
        Ok(Step::Done(Established {
            layer: self.protection.layer(Side::Client, &self.session_key, self.server_max_buf)?,
            authcid: self.authcid,
            authzid: self.authzid,
            ..Established::default()
        }))
    }
}

/// `digest-uri-value = serv-type "/" host [ "/" serv-name ]`. If the program does not set the host, the realm is the best
/// guess. A server that checks it will refuse a wrong one.
fn digest_uri(config: &Config, realm: Option<&[u8]>, serv_name: Option<&str>) -> Result<Vec<u8>, Error> {
    let mut uri = config.service.as_bytes().to_vec();
    uri.push(b'/');
    match config.host.as_bytes() {
        b"" => uri.extend_from_slice(realm.unwrap_or_default()),
        host => uri.extend_from_slice(host),
    }
    if let Some(serv_name) = serv_name {
        uri.push(b'/');
        uri.extend_from_slice(serv_name.as_bytes());
    }
    if !digest::is_quotable(&uri) {
        return Err(unusable(Subject::DigestUri, CONTROL));
    }
    Ok(uri)
}

const CONTROL: &str = "holds a control character (RFC 2831 section 7.1)";

fn encode(name: &str, utf8: bool, property: Property) -> Result<Cow<'_, [u8]>, Error> {
    let bytes = digest::encode(name, utf8).ok_or_else(|| unfit(property))?;
    if !digest::is_quotable(&bytes) {
        return Err(unusable(property.into(), CONTROL));
    }
    Ok(bytes)
}

fn unfit(property: Property) -> Error {
    unusable(
        property.into(),
        "does not fit ISO 8859-1, and the server takes nothing else: its challenge has no charset=utf-8",
    )
}

fn unusable(what: Subject, reason: &'static str) -> Error {
    Application::Unusable { what, reason }.into()
}
