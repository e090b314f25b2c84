//! SCRAM, the client's side.

use std::borrow::Cow;

use super::downgrade;
use crate::config::{BindingPolicy, Config};
use crate::contract::{Abilities, Context, Established, Event, KeyId, Property, Question, State, Step, Values};
use crate::crypto::hash::{Digest, Hash};
use crate::crypto::scram::Keys;
use crate::error::{printable, Application, Error, PeerMisbehaved, Policy, Refused, Subject};
use crate::secret::{ct_eq, Secret};
use crate::wire::client_keys::ClientKeys;
use crate::wire::gs2::{Flag, Header};
use crate::wire::saslprep;
use crate::wire::scram::{
    server_error, ClientFinal, ClientFirst, ServerFinal, ServerFirst, SERVER_FINAL, SERVER_FIRST,
};

pub(super) struct AwaitBegin;
struct AwaitValues;

struct AwaitServerFirst {
    /// `client-first-message`; names and nonce are parsed from it again.
    sent: Box<[u8]>,
    /// Prepared; absent if there are keys only.
    password: Option<Secret>,
    /// Keys of the application, of the mechanism's hash.
    given: Option<Box<ClientKeys>>,
}

struct AwaitServerFinal {
    signature: Digest,
    authcid: String,
    authzid: Option<String>,
    fresh: Option<Box<Fresh>>,
    /// The keys for the application.
    kept: Option<Box<ClientKeys>>,
}

/// Keys that were derived in this exchange. They are cached once the server has proved that they are right.
struct Fresh {
    password: Secret,
    salt: Box<[u8]>,
    iterations: u32,
    keys: Secret,
}

impl State for AwaitBegin {
    fn step(self: Box<Self>, _: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        const WANTED: &[Property] = &[Property::Authcid, Property::Authzid, Property::Password, Property::ScramKeys];
        let has_keys = cx.config.abilities.contains(Abilities::scram_keys(cx.mechanism.require_hash()?));
        let wanted = if has_keys { WANTED } else { &WANTED[..3] };
        Ok(Step::Ask(Question::Values(wanted), Box::new(AwaitValues)))
    }
}

impl State for AwaitValues {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let mut values = event.values()?;
        let authzid = values.optional_text(Property::Authzid)?;
        let authcid = values.require_text(Property::Authcid)?;
        let given = given_keys(&mut values, cx)?;
        let password = match values.get(Property::Password) {
            None if given.is_some() => None,
            _ => Some(prepared_password(&values.require(Property::Password)?)?),
        };
        let name = saslprep::query(&authcid).map_err(|refused| unusable(Subject::Authcid, refused.reason()))?;
        let plus = cx.mechanism.binds;
        let flag = flag(cx.config, plus)?;
        let header = Header { flag, authzid: authzid.map(Cow::Owned) };
        let nonce = cx.world.random.nonce()?;
        let first = ClientFirst { header, header_len: 0, name, nonce: &nonce };
        let mut message = Vec::with_capacity(32 + first.name.len() + nonce.len());
        first.print(&mut message);
        let sent = message.as_slice().into();
        Ok(Step::Send(message, Box::new(AwaitServerFirst { sent, password, given })))
    }
}

/// The client's channel binding flag (RFC 5802 §6).
///
/// `y` means that the client supports channel binding but the server offered no -PLUS. A server that did offer one then
/// knows that the list was changed on the way. If the server offered a -PLUS and the caller chose another mechanism
/// anyway, `y` would be false, and every correct server must refuse it. That caller declines channel binding, which is
/// `n`.
fn flag(config: &Config, plus: bool) -> Result<Flag<'_>, Error> {
    match config.bindings().next() {
        Some(binding) if plus => Ok(Flag::Bound(&binding.kind)),
        None if plus => Err(Policy::ChannelBindingRequired("there is no channel binding data").into()),
        _ if config.binding_policy == BindingPolicy::Require => {
            Err(Policy::ChannelBindingRequired("this mechanism has none").into())
        }
        _ if !config.binding_data().is_empty() && !config.peer_offers_binding => Ok(Flag::Unoffered),
        _ => Ok(Flag::Unsupported),
    }
}

/// The application's keys for the mechanism's hash, if it has some.
fn given_keys(values: &mut Values, cx: &Context<'_, '_>) -> Result<Option<Box<ClientKeys>>, Error> {
    if values.get(Property::ScramKeys).is_none() {
        return Ok(None);
    }
    let hash = cx.mechanism.require_hash()?;
    let all = ClientKeys::parse(values.require(Property::ScramKeys)?.expose())?;
    Ok(all.into_iter().find(|keys| keys.hash == hash).map(Box::new))
}

fn prepared_password(password: &Secret) -> Result<Secret, Error> {
    if password.is_empty() {
        return Err(Application::Empty(Subject::Password).into());
    }
    let Some(text) = password.expose_str() else { return Err(unusable(Subject::Password, "is not valid UTF-8")) };
    Ok(saslprep::query(text).map_err(|refused| unusable(Subject::Password, refused.reason()))?.into())
}

fn unusable(what: Subject, reason: &'static str) -> Error {
    Application::Unusable { what, reason }.into()
}

/// The error of the server's `e=` (RFC 5802 §7). For wrong credentials it adds the words that all mechanisms use, and for a
/// channel binding the options that help.
fn refused(reason: &str, cx: &Context<'_, '_>) -> Error {
    let said = printable(reason.as_bytes());
    match (reason, cx.mechanism.binds) {
        ("invalid-proof" | "unknown-user", _) => {
            Refused::PeerSaid(format!("{said} (wrong password or unknown user)")).into()
        }
        (
            "channel-bindings-dont-match"
            | "channel-binding-not-supported"
            | "unsupported-channel-binding-type"
            | "server-does-support-channel-binding",
            true,
        ) => Refused::Binding(said).into(),
        _ => Refused::PeerSaid(said).into(),
    }
}

impl State for AwaitServerFirst {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let bytes = event.received(SERVER_FIRST)?;
        if let Some(reason) = server_error(bytes) {
            return Err(refused(reason, cx));
        }
        let AwaitServerFirst { sent, password, given } = *self;
        let hash = cx.mechanism.require_hash()?;
        let ours = ClientFirst::parse(&sent)?;
        let theirs = ServerFirst::parse(bytes)?;
        check_server_first(&ours, &theirs, cx.config)?;
        downgrade::check(theirs.extensions, hash, cx.config)?;
        let (keys, fresh, kept) = match (given, password) {
            (Some(given), None) => (fitting(*given, &theirs)?, None, None),
            (Some(given), Some(_)) if misfit(&given, &theirs).is_none() => (keys_of(*given), None, None),
            (_, password) => {
                let password = password.ok_or(Application::Missing(Subject::Password))?;
                let (keys, fresh) = keys(hash, &ours.name, password, &theirs, cx);
                let keeps = cx.config.abilities.contains(Abilities::KEEP_KEYS);
                let kept = keeps.then(|| kept(hash, &keys, &theirs));
                (keys, fresh, kept)
            }
        };

        let mut binding = sent[..ours.header_len].to_vec();
        if let Flag::Bound(kind) = ours.header.flag {
            let data = cx.config.binding(kind);
            binding.extend_from_slice(
                data.ok_or(Policy::ChannelBindingRequired("its data went away during the exchange"))?,
            );
        }
        let mut message = Vec::with_capacity(theirs.nonce.len() + 2 * hash.size() + binding.len() * 2 + 16);
        ClientFinal::print_without_proof(&binding, &theirs.nonce, &mut message);
        let auth_message: &[&[u8]] = &[&sent[ours.header_len..], b",", bytes, b",", &message];
        let proof = keys.client.clone().xor(&hash.hmac(&keys.stored, auth_message));
        let signature = hash.hmac(&keys.server, auth_message);
        ClientFinal::print_proof(&proof, &mut message);
        let authzid = ours.header.authzid.map(Cow::into_owned);
        let next = AwaitServerFinal { signature, authcid: ours.name.into_owned(), authzid, fresh, kept };
        Ok(Step::Send(message, Box::new(next)))
    }
}

/// The checks before any work is done for the server.
fn check_server_first(ours: &ClientFirst<'_>, theirs: &ServerFirst<'_>, config: &Config) -> Result<(), Error> {
    let misbehaved = |reason| Err(Error::misbehaved(SERVER_FIRST, reason));
    match theirs.nonce.strip_prefix(ours.nonce) {
        None => return misbehaved(PeerMisbehaved::NonceMismatch),
        Some("") => return misbehaved(PeerMisbehaved::NonceNotExtended),
        Some(_) => {}
    }
    let (got, least, most) = (theirs.iterations, config.min_iterations, config.max_iterations);
    if got < least {
        return misbehaved(PeerMisbehaved::IterationsTooLow { got, least });
    }
    if got > most {
        return misbehaved(PeerMisbehaved::IterationsTooHigh { got, most });
    }
    Ok(())
}

/// Why the application's keys cannot be used with this server.
fn misfit(given: &ClientKeys, theirs: &ServerFirst<'_>) -> Option<Application> {
    let counts = (theirs.iterations, given.iterations);
    let (salt, iterations) = (*given.salt != *theirs.salt, (counts.0 != counts.1).then_some(counts));
    (salt || iterations.is_some()).then_some(Application::OtherKeys { salt, iterations })
}

/// The application's keys, which are all that it has.
fn fitting(given: ClientKeys, theirs: &ServerFirst<'_>) -> Result<Keys, Error> {
    misfit(&given, theirs).map_or_else(|| Ok(keys_of(given)), |misfit| Err(misfit.into()))
}

fn keys_of(given: ClientKeys) -> Keys {
    let ClientKeys { hash, client, server, .. } = given;
    Keys { stored: hash.digest(&client), client, server }
}

/// A copy of the keys for the application.
fn kept(hash: Hash, keys: &Keys, theirs: &ServerFirst<'_>) -> Box<ClientKeys> {
    let (client, server) = (keys.client.clone(), keys.server.clone());
    Box::new(ClientKeys { hash, iterations: theirs.iterations, salt: (*theirs.salt).into(), client, server })
}

/// The keys, from the application's cache or derived. All three are cached, so that the next exchange needs no derivation
/// and only one HMAC per key.
fn keys(
    hash: Hash,
    authcid: &str,
    password: Secret,
    theirs: &ServerFirst<'_>,
    cx: &Context<'_, '_>,
) -> (Keys, Option<Box<Fresh>>) {
    let (salt, iterations) = (&*theirs.salt, theirs.iterations);
    let Some(memory) = cx.world.keys else {
        return (Keys::derive(hash, password.expose(), salt, iterations), None);
    };
    let id = KeyId { hash: hash.name(), authcid, password: &password, salt, iterations };
    let size = hash.size();
    if let Some(found) = memory.find(&id).filter(|found| found.expose().len() == 3 * size) {
        let part = |n: usize| Digest::new(&found.expose()[n * size..(n + 1) * size]);
        return (Keys { client: part(0), stored: part(1), server: part(2) }, None);
    }
    let keys = Keys::derive(hash, password.expose(), salt, iterations);
    let all = Secret::from([&*keys.client, &*keys.stored, &*keys.server].concat());
    (keys, Some(Box::new(Fresh { password, salt: salt.into(), iterations, keys: all })))
}

impl State for AwaitServerFinal {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let bytes = event.received(SERVER_FINAL)?;
        if bytes.is_empty() {
            return Err(Error::misbehaved(SERVER_FINAL, PeerMisbehaved::ServerProofMissing));
        }
        let signature = match ServerFinal::parse(bytes)? {
            ServerFinal::Error(reason) => return Err(refused(reason, cx)),
            ServerFinal::Verifier(signature) => signature,
        };
        if !ct_eq(&self.signature, &signature) {
            return Err(Error::misbehaved(SERVER_FINAL, PeerMisbehaved::ServerProof));
        }
        let AwaitServerFinal { authcid, authzid, fresh, kept, .. } = *self;
        if let (Some(memory), Some(fresh)) = (cx.world.keys, fresh) {
            let hash = cx.mechanism.require_hash()?;
            let Fresh { password, salt, iterations, keys } = *fresh;
            let id = KeyId { hash: hash.name(), authcid: &authcid, password: &password, salt: &salt, iterations };
            memory.remember(&id, keys);
        }
        Ok(Step::Done(Established { authcid, authzid, keys: kept, ..Established::default() }))
    }
}
