//! The client's side.

use zeroize::Zeroizing;

use crate::config::Config;
use crate::contract::{Abilities, Answer, Property, Question, Side, Values, World};
use crate::error::{Error, Failure};
use crate::secret::Secret;
use crate::session::{Outcome, Session};
use crate::world::OsRandom;

use super::{exchange, text};

/// One login of a client: [`Client::choose`], then [`Client::respond`] to each challenge, and [`Client::finish`] when the server
/// says that the login has succeeded.
///
/// ```
/// use authen_sasl_rust::login::Client;
///
/// let mut client = Client::with_password("fred", "pencil");
/// assert!(client.choose("PLAIN").is_err());
///
/// let mut client = Client::with_password("fred", "pencil").over_tls(128);
/// assert_eq!(client.choose("PLAIN LOGIN X-OTHER")?, "PLAIN");
/// assert_eq!(client.initial_response_base64()?.as_deref(), Some("AGZyZWQAcGVuY2ls"));
/// client.finish(None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Client {
    session: Session,
    values: Vec<(Property, Secret)>,
    failure: Option<Failure>,
}

impl Client {
    /// A client without any values: add them by [`Client::with`]. Without any it can only use ANONYMOUS and EXTERNAL.
    pub fn new() -> Self {
        Client { session: exchange::session(Side::Client), values: Vec::new(), failure: None }
    }

    /// A client with a name and a password.
    pub fn with_password(authcid: &str, password: &str) -> Self {
        Client::new().with(Property::Authcid, authcid).with(Property::Password, password)
    }

    /// A client with an OAuth bearer token.
    pub fn with_token(authcid: &str, token: &str) -> Self {
        Client::new().with(Property::Authcid, authcid).with(Property::Token, token)
    }

    /// Adds a value: an authorization identity, for instance, or the realm that DIGEST-MD5 shall use.
    ///
    /// ```
    /// use authen_sasl_rust::{contract::Property, login::Client};
    ///
    /// let mut client = Client::with_password("admin", "pencil").with(Property::Authzid, "fred").over_tls(256);
    /// client.choose("PLAIN")?;
    /// assert_eq!(client.initial_response()?.as_deref(), Some(&b"fred\0admin\0pencil"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with(mut self, property: Property, value: &str) -> Self {
        self.session.config.abilities = self.session.config.abilities.union(Abilities(1 << property as u8));
        self.values.push((property, Secret::new(value.as_bytes())));
        self
    }

    /// Says that TLS of that strength, in bits, protects the connection. Without it no password is sent in the clear.
    #[must_use]
    pub fn over_tls(mut self, bits: u32) -> Self {
        self.session.config.set_tls_ssf(bits);
        self
    }

    /// The options: the service and the host for DIGEST-MD5, channel bindings, and all others. Set them before
    /// [`Client::choose`].
    pub fn config(&mut self) -> &mut Config {
        &mut self.session.config
    }

    /// Chooses the strongest mechanism that the server offers and that this client can use, and returns its name. A client that
    /// wants some mechanisms only passes those of them that the server offers.
    ///
    /// # Errors
    /// [`crate::error::Policy::NoMechanism`] with the reason for each.
    pub fn choose(&mut self, offered: &str) -> Result<&'static str, Error> {
        self.session.reset();
        self.failure = None;
        Ok(self.session.negotiate(offered)?.name)
    }

    /// The message that goes with the mechanism's name; `None` if the server sends first. If the protocol has no place for it,
    /// do not call this: [`Client::respond`] returns the message when the server sends an empty challenge.
    ///
    /// # Errors
    /// If the exchange has failed: a value cannot be sent, for instance.
    pub fn initial_response(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let outcome = self.session.start(None, &mut World::of_process(&mut OsRandom, None));
        self.after(outcome)
    }

    /// The same as base64, `=` if it is empty.
    ///
    /// # Errors
    /// As [`Client::initial_response`].
    pub fn initial_response_base64(&mut self) -> Result<Option<String>, Failure> {
        let message = self.initial_response()?.map(Zeroizing::new);
        Ok(message.map(|message| text::encode_initial(&message)))
    }

    /// The response to a challenge. It may be empty, and must be sent nevertheless. After an error the client cancels the
    /// exchange, as the protocol provides for it, or closes the connection.
    ///
    /// # Errors
    /// If the exchange has failed: the server does not know the password, for instance.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Failure> {
        let outcome = self.session.step(challenge, &mut World::of_process(&mut OsRandom, None));
        Ok(self.after(outcome)?.unwrap_or_default())
    }

    /// The same with base64.
    ///
    /// # Errors
    /// As [`Client::respond`], and if the challenge is not base64.
    pub fn respond_base64(&mut self, challenge: &str) -> Result<String, Failure> {
        match text::decode("challenge", challenge) {
            Ok(challenge) => Ok(text::encode(&Zeroizing::new(self.respond(&challenge)?))),
            Err(error) => Err(self.ended(error)),
        }
    }

    /// The server says that the login has succeeded, perhaps with data of the mechanism. Only if this returns `Ok` has the server
    /// proved all that the mechanism requires of it.
    ///
    /// # Errors
    /// If the data is wrong, the server has ended the exchange before its proof, or the exchange has failed already.
    pub fn finish(&mut self, last: Option<&[u8]>) -> Result<(), Failure> {
        // Some protocols cannot distinguish no data from empty data.
        if let Some(last) = last.filter(|last| !last.is_empty() || !self.session.is_success()) {
            self.respond(last)?;
        }
        if !self.session.is_success() {
            self.session.ended_early();
        }
        self.failure().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// Why the exchange has failed, if it has. An OAuth server gives the reason in a challenge, which the client answers before
    /// the server refuses it.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref().or(self.session.failure())
    }

    /// The session: its names and mechanism, for instance.
    pub fn session(&self) -> &Session {
        &self.session
    }

    fn after(&mut self, mut outcome: Outcome) -> Result<Option<Vec<u8>>, Failure> {
        while outcome == Outcome::Ask {
            let answer = self.answer();
            outcome = self.session.answer(answer, &mut World::of_process(&mut OsRandom, None));
        }
        match outcome {
            Outcome::Send | Outcome::FailedWithMessage => Ok(Some(self.session.message().to_vec())),
            Outcome::Absent => Ok(None),
            _ => Err(self.ended(exchange::over("challenge"))),
        }
    }

    fn answer(&self) -> Answer {
        let value = |property| self.values.iter().find(|(known, _)| *known == property).map(|(_, value)| value.clone());
        match self.session.question() {
            Some(Question::Values(wanted)) => {
                let mut values = Values::default();
                for property in *wanted {
                    let found = value(*property).or_else(|| match property {
                        Property::Identity => value(Property::Authzid).or_else(|| value(Property::Authcid)),
                        _ => None,
                    });
                    if let Some(found) = found {
                        values.push(*property, found);
                    }
                }
                Answer::Values(values)
            }
            Some(Question::Realm { .. }) => {
                Answer::Text(value(Property::Realm).and_then(|realm| realm.expose_str().map(str::to_owned)))
            }
            _ => Answer::Credential(None),
        }
    }

    /// Ends the exchange, with this error unless it has failed already.
    fn ended(&mut self, error: Error) -> Failure {
        self.failure.insert(exchange::ended(&mut self.session, error)).clone()
    }
}

impl Default for Client {
    fn default() -> Self {
        Client::new()
    }
}
