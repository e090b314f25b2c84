//! Write a mechanism.
//!
//! A mechanism is a [`Description`](crate::contract::Description), which is data, and one type for each state of each side.
//! A state is named after the event that it waits for, and that event consumes it. It returns a
//! [`Step`](crate::contract::Step): a message, a question to the application, or the end. It opens no file or socket, reads
//! no clock, and gets random bytes only from its [`Context`](crate::contract::Context).
//!
//! The example is in a crate of its own, so nothing in this crate knows its name. The server sends a nonce. The client
//! answers with an HMAC of the nonce, keyed with the password, and its name. (It is only an example: it is no more secure
//! than CRAM-MD5.)
//!
//! ```
//! use authen_sasl_rust::contract::{
//!     available, hidden, Abilities, Context, CredentialKind, Description, Established, Event, Property, Question, SecurityFlags,
//!     Side, State, Stateless, Step,
//! };
//! use authen_sasl_rust::crypto::hash::Hash;
//! use authen_sasl_rust::error::{Error, Malformed, Refused};
//! use authen_sasl_rust::secret::ct_eq;
//! use authen_sasl_rust::store::check::password_or_mock;
//!
//! static X_HMAC: Stateless = Stateless {
//!     description: Description {
//!         first: Side::Server,
//!         rank: 25,
//!         security: SecurityFlags::NOPLAINTEXT.union(SecurityFlags::NOANONYMOUS),
//!         credential: CredentialKind::Password,
//!         client_needs: Abilities::AUTHCID.union(Abilities::PASSWORD),
//!         ..Description::new("X-HMAC-SHA-256")
//!     },
//!     client: || Box::new(AwaitChallenge),
//!     server: || Box::new(AwaitBegin),
//!     unavailable_reason: available,
//!     outline: hidden,
//! };
//!
//! struct AwaitChallenge;
//! struct AwaitValues { challenge: Vec<u8> }
//! struct AwaitBegin;
//! struct AwaitResponse { challenge: Vec<u8> }
//! struct AwaitCredential { challenge: Vec<u8>, code: Vec<u8>, authcid: String }
//!
//! impl State for AwaitChallenge {
//!     fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
//!         let challenge = event.received("challenge")?.to_vec();
//!         Ok(Step::Ask(Question::Values(&[Property::Authcid, Property::Password]), Box::new(AwaitValues { challenge })))
//!     }
//! }
//!
//! impl State for AwaitValues {
//!     fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
//!         let mut values = event.values()?;
//!         let (authcid, password) = (values.require_text(Property::Authcid)?, values.require(Property::Password)?);
//!         let code = Hash::Sha256.hmac(password.expose(), &[&self.challenge, authcid.as_bytes()]);
//!         let response = [&*code, authcid.as_bytes()].concat();
//!         Ok(Step::Done(Established { last: Some(response), authcid, ..Established::default() }))
//!     }
//! }
//!
//! impl State for AwaitBegin {
//!     fn step(self: Box<Self>, _: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
//!         let challenge = cx.world.random.nonce()?.into_bytes();
//!         Ok(Step::Send(challenge.clone(), Box::new(AwaitResponse { challenge })))
//!     }
//! }
//!
//! impl State for AwaitResponse {
//!     fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
//!         let malformed = |reason| Error::malformed("response", reason);
//!         let (code, name) = event.received("response")?.split_at_checked(32).ok_or(malformed(Malformed::Missing("the code")))?;
//!         let authcid = std::str::from_utf8(name).map_err(|_| malformed(Malformed::Utf8("the name")))?.to_owned();
//!         let kind = cx.mechanism.credential;
//!         let question = Question::Credentials { kind, authcid: authcid.clone(), authzid: None, realm: None };
//!         let (challenge, code) = (self.challenge, code.to_vec());
//!         Ok(Step::Ask(question, Box::new(AwaitCredential { challenge, code, authcid })))
//!     }
//! }
//!
//! impl State for AwaitCredential {
//!     fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
//!         // An unknown user takes the same work as a wrong password, and gets the same reply.
//!         let (password, known) = password_or_mock(event.credential()?, cx.world.lookups);
//!         let code = Hash::Sha256.hmac(password.expose(), &[&self.challenge, self.authcid.as_bytes()]);
//!         if ct_eq(&code, &self.code) & known {
//!             return Ok(Step::Done(Established { authcid: self.authcid, ..Established::default() }));
//!         }
//!         Err(Refused::Credentials.into())
//!     }
//! }
//!
//! // A program adds it to its registry, with the mechanisms of this crate.
//! use authen_sasl_rust::contract::{Answer, Mechanism, Values};
//! use authen_sasl_rust::{mechanism::ALL, registry::Registry, secret::Secret, session::Session, world::LocalWorld};
//! use std::sync::Arc;
//!
//! let registry = Arc::new(Registry::new(ALL.iter().copied().chain([&X_HMAC as &dyn Mechanism])));
//! let (mut client, mut server) = (Session::new(Side::Client, registry.clone()), Session::new(Side::Server, registry));
//! let (mut here, mut there) = (LocalWorld::default(), LocalWorld::default());
//! client.config.abilities = X_HMAC.description.client_needs;
//! server.config.abilities = Abilities::CREDENTIALS;
//! // It is chosen like any other: it is stronger than PLAIN, and weaker than SCRAM.
//! assert_eq!(client.negotiate("PLAIN X-HMAC-SHA-256")?.name, "X-HMAC-SHA-256");
//! server.pick("X-HMAC-SHA-256")?;
//!
//! client.start(None, &mut here.lend());
//! server.start(None, &mut there.lend());
//! client.step(server.message(), &mut here.lend());
//! let mut values = Values::default();
//! values.push(Property::Authcid, Secret::new(b"fred"));
//! values.push(Property::Password, Secret::new(b"pencil"));
//! client.answer(Answer::Values(values), &mut here.lend());
//! server.step(client.message(), &mut there.lend());
//! server.answer(Answer::Credential(Some(Secret::new(b"pencil"))), &mut there.lend());
//! assert!(client.is_success() && server.is_success());
//! assert_eq!(server.identity().authcid.as_deref(), Some("fred"));
//! # Ok::<(), Error>(())
//! ```
//!
//! The session does what RFC 4422 requires of every mechanism, so a mechanism need not: empty messages if a protocol needs
//! them, messages after the end, limits, the canonical name, authorization, and the comparison of a password with a verifier.
