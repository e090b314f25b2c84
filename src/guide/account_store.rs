//! Write an account store.
//!
//! A store answers the questions of a server that its application does not answer itself. It implements
//! [`Accounts`](crate::accounts::Accounts): it declares which kinds of questions it answers, and answers them at once. So a
//! store that reads a file or waits for a daemon must limit the time it takes. The `kind` of a question tells which
//! credential the mechanism needs: a SCRAM server needs a verifier with its own hash, CRAM-MD5 the password, and PLAIN
//! any credential that a password can be compared with.
//!
//! "Unknown user" is an answer: [`Answer::Credential`](crate::contract::Answer::Credential) with `None`. The session then
//! does the same work as for a wrong password. If the store cannot be asked, the answer is an
//! [`Error::Outside`](crate::error::Error::Outside), which does not count as the user's failure.
//!
//! A store that knows who is disabled says so in
//! [`disabled_reason`](crate::accounts::Accounts::disabled_reason) too: the session asks it about a user whom something else has proved, such
//! as a token or a certificate.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::Arc;
//!
//! use authen_sasl_rust::accounts::Accounts;
//! use authen_sasl_rust::config::Config;
//! use authen_sasl_rust::contract::{Abilities, Answer, CredentialKind, Description, Question, Side};
//! use authen_sasl_rust::crypto::hash::Hash;
//! use authen_sasl_rust::error::{Application, Error};
//! use authen_sasl_rust::secret::Secret;
//! use authen_sasl_rust::store::verifier::{make_text, VerifierFormat};
//! use authen_sasl_rust::{mechanism, session::Session, world::LocalWorld};
//!
//! /// Users with a verifier of SCRAM-SHA-256 each, and no passwords.
//! #[derive(Debug)]
//! struct Verifiers(BTreeMap<String, Secret>);
//!
//! impl Accounts for Verifiers {
//!     fn abilities(&self) -> Abilities {
//!         Abilities::CREDENTIALS
//!     }
//!
//!     fn answer(&self, question: &Question, _: &Config) -> Result<Answer, Error> {
//!         match question {
//!             Question::Credentials { authcid, .. } => Ok(Answer::Credential(self.0.get(authcid).cloned())),
//!             _ => Err(Application::WrongAnswer.into()),
//!         }
//!     }
//!
//!     // Mechanisms that it cannot serve are not offered: CRAM-MD5 needs the password itself.
//!     fn unfit_reason(&self, mechanism: &Description) -> Option<String> {
//!         match mechanism.credential {
//!             CredentialKind::Password => Some("there are no passwords".into()),
//!             CredentialKind::Scram(hash) if hash != Hash::Sha256 => Some("the verifiers are of SHA-256".into()),
//!             _ => None,
//!         }
//!     }
//! }
//!
//! let verifier = make_text("SCRAM-SHA-256", "pencil", None, 4096, VerifierFormat::Rfc5803)?;
//! let accounts = Arc::new(Verifiers(BTreeMap::from([("fred".to_owned(), Secret::from(verifier))])));
//!
//! let mut server = Session::new(Side::Server, mechanism::registry());
//! server.accounts = Some(accounts);
//! let usable = server.negotiation().usable("SCRAM-SHA-512 SCRAM-SHA-256 CRAM-MD5 PLAIN");
//! assert_eq!(usable.iter().map(|mechanism| mechanism.name).collect::<Vec<_>>(), ["SCRAM-SHA-256", "PLAIN"]);
//!
//! let mut world = LocalWorld::default();
//! server.pick("PLAIN")?;
//! server.start(Some(b"\0fred\0pencil"), &mut world.lend());
//! assert!(server.is_success());
//! server.start(Some(b"\0fred\0rubber"), &mut world.lend());
//! assert!(!server.is_success());
//! # Ok::<(), Error>(())
//! ```
