//! SCRAM, the server's side.
//!
//! An unknown user gets the same messages as a known one with a wrong password, after the same work. All cheap checks of the
//! client's last message come before the key derivation.

use std::borrow::Cow;
use std::hint::black_box;

use super::downgrade;
use crate::config::{BindingPolicy, Config};
use crate::contract::{Abilities, Context, Established, Event, Question, State, Step, World};
use crate::crypto::hash::{Digest, Hash};
use crate::crypto::scram::Keys;
use crate::error::{Error, Malformed, PeerMisbehaved, Policy, Refused};
use crate::secret::{ct_eq, Secret};
use crate::store::check::prepared_password;
use crate::store::mock::{imitated, mock_credential, MOCK_PASSWORD};
use crate::store::verifier::Verifier;
use crate::wire::client_keys::ClientKeys;
use crate::wire::gs2::{Flag, Header};
use crate::wire::saslprep;
use crate::wire::scram::{ClientFinal, ClientFirst, ServerFinal, ServerFirst, CLIENT_FINAL, CLIENT_FIRST};

pub(super) struct AwaitClientFirst;

/// Both states store messages instead of parsed values. This takes the least memory, and parsing them again takes less than
/// a microsecond.
struct AwaitCredential {
    /// `client-first-message`.
    first: Box<[u8]>,
}

struct AwaitClientFinal {
    /// `client-first-message "," server-first-message`.
    said: Box<[u8]>,
    first_len: u32,
    /// False for a mock credential.
    known: bool,
    /// Keys are derived although the credential has them: other users have passwords, for which they must be derived.
    derives: bool,
    credential: Credential,
}

enum Credential {
    /// StoredKey, then ServerKey.
    Keys(Secret),
    /// The prepared password. The keys are derived when they are needed.
    Password(Secret),
}

impl State for AwaitClientFirst {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let bytes = event.received(CLIENT_FIRST)?;
        let first = match ClientFirst::parse(bytes) {
            Ok(first) => first,
            Err(error) => return Ok(refuse(error)),
        };
        let plus = cx.mechanism.binds;
        if let Err(error) = check_flag(&first.header, plus, cx.config) {
            return Ok(refuse(error));
        }
        let Ok(authcid) = saslprep::query(&first.name) else {
            let error = Error::malformed(CLIENT_FIRST, Malformed::Character("the user name (n=)"));
            return Ok(Step::Fail(b"e=invalid-username-encoding".to_vec(), error));
        };
        let authcid = authcid.into_owned();
        let authzid = first.header.authzid.map(Cow::into_owned);
        let question = Question::Credentials { kind: cx.mechanism.credential, authcid, authzid, realm: None };
        Ok(Step::Ask(question, Box::new(AwaitCredential { first: bytes.into() })))
    }
}

/// RFC 5802 §6: `p=` is for the -PLUS mechanisms only, and they require it. `y` although this server offers -PLUS means that
/// somebody removed the offer.
fn check_flag(header: &Header<'_>, plus: bool, config: &Config) -> Result<(), Error> {
    let misbehaved = |reason| Err(Error::misbehaved(CLIENT_FIRST, reason));
    match header.flag {
        Flag::Bound(kind) if plus => match config.binding(kind) {
            Some(_) => Ok(()),
            None => misbehaved(PeerMisbehaved::ChannelBindingUnsupported),
        },
        Flag::Bound(_) => misbehaved(PeerMisbehaved::UnexpectedBinding),
        Flag::Unoffered if plus || config.offers_binding() => misbehaved(PeerMisbehaved::Downgrade),
        _ if plus => misbehaved(PeerMisbehaved::MissingBinding),
        _ if config.binding_policy == BindingPolicy::Require => {
            Err(Policy::ChannelBindingRequired("the client's first message has none").into())
        }
        _ => Ok(()),
    }
}

impl State for AwaitCredential {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let hash = cx.mechanism.require_hash()?;
        let first = ClientFirst::parse(&self.first)?;
        // An empty password counts as none, as in PLAIN.
        let stored = event.credential()?.filter(|text| !text.is_empty());
        let known = stored.is_some();
        let derives = cx.world.lookups.expects_passwords();
        let stored = stored.unwrap_or_else(|| Secret::new(mock_credential(Some(hash), cx.world.lookups)));
        let verifier = Verifier::read(&stored)?;
        if known {
            cx.world.lookups.record_kind(verifier.is_some());
            if let Some(verifier) = &verifier {
                cx.world.lookups.record_strength(verifier.strength());
            }
        }
        let usual = usual_iterations(hash, cx.config, cx.world);
        let name = saslprep::query(&first.name).unwrap_or(Cow::Borrowed(&first.name));
        // Derived also for users who have a stored salt: otherwise timing would reveal who has one.
        let derived = derived_salt(hash, &name, cx.config, cx.world);
        let (credential, salt, iterations) = match verifier {
            Some(Verifier { salt, iterations, keys, .. }) => {
                let (salt, iterations) = if known { (salt.into_vec(), iterations) } else { (derived, usual) };
                (Credential::Keys(keys), salt, iterations)
            }
            None => (Credential::Password(prepared_password(stored.expose())?), derived, usual),
        };
        let salt = Cow::Owned(salt);
        let mut nonce = cx.world.random.nonce()?;
        nonce.insert_str(0, first.nonce);
        let extension = downgrade::extensions(hash, cx.config);
        let theirs = ServerFirst { nonce: Cow::Owned(nonce), salt, iterations, extensions: &extension };
        let mut message = Vec::with_capacity(theirs.nonce.len() + theirs.salt.len() * 2 + extension.len() + 24);
        theirs.print(&mut message);
        let said = [&self.first[..], b",", &message].concat().into_boxed_slice();
        // A message of the peer has at most MESSAGE_LIMIT bytes, so its length fits.
        let first_len = self.first.len() as u32;
        Ok(Step::Send(message, Box::new(AwaitClientFinal { said, first_len, known, derives, credential })))
    }
}

/// The iterations of a user without a stored count, known or unknown: as many as those who have one, so that a default that
/// was raised since does not tell who is known.
fn usual_iterations(hash: Hash, config: &Config, world: &World<'_>) -> u32 {
    config.iterations.unwrap_or_else(|| imitated(Some(hash), world.lookups).iterations)
}

/// The salt of a user without a stored one, known or unknown. It is always the same for the same name.
fn derived_salt(hash: Hash, authcid: &str, config: &Config, world: &World<'_>) -> Vec<u8> {
    let key = config.salt_key().map_or(world.salt_key, Secret::expose);
    Hash::Sha256.hmac(key, &[hash.name().as_bytes(), b"\0", authcid.as_bytes()])[..16].to_vec()
}

impl State for AwaitClientFinal {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let bytes = event.received(CLIENT_FINAL)?;
        let hash = cx.mechanism.require_hash()?;
        let AwaitClientFinal { said, first_len, known, derives, credential } = *self;
        let (first_bytes, ours) = said.split_at(first_len as usize);
        let first = ClientFirst::parse(first_bytes)?;
        let ours = ServerFirst::parse(&ours[1..])?;
        let message = match ClientFinal::parse(bytes) {
            Ok(message) => message,
            Err(error) => return Ok(refuse(error)),
        };
        if let Err(error) = check_client_final(&message, &first, first_bytes, &ours, hash, cx.config) {
            return Ok(refuse(error));
        }
        let (stored, server) = keys(hash, &credential, &ours);
        if derives && matches!(credential, Credential::Keys(_)) {
            let usual = usual_iterations(hash, cx.config, cx.world);
            black_box(Keys::derive(hash, MOCK_PASSWORD, &ours.salt, usual).stored);
        }

        let auth_message: &[&[u8]] = &[&said[first.header_len..], b",", message.without_proof];
        // The proof reveals the client's key, whose hash is the StoredKey (RFC 5802 §3).
        let client = hash.hmac(&stored, auth_message).xor(&message.proof);
        if !(ct_eq(&hash.digest(&client), &stored) & known) {
            return Ok(Step::Fail(b"e=invalid-proof".to_vec(), Refused::Credentials.into()));
        }
        let last = ServerFinal::print_verifier(&hash.hmac(&server, auth_message));
        let authcid = saslprep::query(&first.name).map_err(|_| Refused::Credentials)?.into_owned();
        let authzid = first.header.authzid.map(Cow::into_owned);
        let keys = cx.config.abilities.contains(Abilities::KEEP_KEYS).then(|| {
            let (iterations, salt) = (ours.iterations, (*ours.salt).into());
            Box::new(ClientKeys { hash, iterations, salt, client, server })
        });
        Ok(Step::Done(Established { last: Some(last), authcid, authzid, keys, ..Established::default() }))
    }
}

/// The checks before any work is done for the client.
fn check_client_final(
    message: &ClientFinal<'_>,
    first: &ClientFirst<'_>,
    first_bytes: &[u8],
    ours: &ServerFirst<'_>,
    hash: Hash,
    config: &Config,
) -> Result<(), Error> {
    let misbehaved = |reason| Err(Error::misbehaved(CLIENT_FINAL, reason));
    if message.nonce != ours.nonce {
        return misbehaved(PeerMisbehaved::NonceMismatch);
    }
    let data = match first.header.flag {
        Flag::Bound(kind) => config.binding(kind),
        Flag::Unsupported | Flag::Unoffered => Some(&[][..]),
    };
    let header = &first_bytes[..first.header_len];
    if data.is_none_or(|data| message.binding.strip_prefix(header) != Some(data)) {
        return misbehaved(PeerMisbehaved::ChannelBindingMismatch);
    }
    if message.proof.len() != hash.size() {
        return Err(Error::malformed(CLIENT_FINAL, Malformed::Expected("a proof (p=) of the hash's length")));
    }
    Ok(())
}

/// StoredKey and ServerKey.
fn keys(hash: Hash, credential: &Credential, ours: &ServerFirst<'_>) -> (Digest, Digest) {
    match credential {
        Credential::Keys(keys) => {
            let (stored, server) = keys.expose().split_at(hash.size().min(keys.expose().len()));
            (Digest::new(stored), Digest::new(server))
        }
        Credential::Password(password) => {
            let keys = Keys::derive(hash, password.expose(), &ours.salt, ours.iterations);
            (keys.stored, keys.server)
        }
    }
}

/// The failure, with the words of RFC 5802 §7 for the client.
fn refuse(error: Error) -> Step {
    let value: &[u8] = match &error {
        Error::PeerMisbehaved { reason, .. } => match reason {
            PeerMisbehaved::MandatoryExtension => b"e=extensions-not-supported",
            PeerMisbehaved::ChannelBindingMismatch => b"e=channel-bindings-dont-match",
            PeerMisbehaved::ChannelBindingUnsupported => b"e=unsupported-channel-binding-type",
            PeerMisbehaved::Downgrade => b"e=server-does-support-channel-binding",
            PeerMisbehaved::UnexpectedBinding | PeerMisbehaved::MissingBinding => b"e=channel-binding-not-supported",
            _ => b"e=other-error",
        },
        Error::Malformed { .. } => b"e=invalid-encoding",
        _ => b"e=other-error",
    };
    Step::Fail(value.to_vec(), error)
}
