//! Write an account store.
//!
//! A store answers the questions of a server that its application has no callback for. It implements
//! [`Accounts`](crate::accounts::Accounts): it says which kinds of questions it answers, and answers them at once, so a store
//! that reads a file or waits for a daemon limits the time that it takes. The `kind` of a question says what the mechanism
//! computes with: a SCRAM server wants the verifier of its own hash, CRAM-MD5 the password, and PLAIN whatever a password can be
//! compared with.
//!
//! An unknown user is an answer ([`Answer::Credential`](crate::contract::Answer::Credential) with `None`), and the session
//! does the work of a wrong password then. A store that cannot be asked is an
//! [`Error::Outside`](crate::error::Error::Outside), which is no failure of the user.
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
//!     // What it cannot serve is not offered: CRAM-MD5 computes with the password itself.
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
