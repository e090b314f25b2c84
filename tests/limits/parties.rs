//! Who takes the inputs: servers, clients, layers.

use authen_sasl_rust::authline::decoder::Decoder;
use authen_sasl_rust::authline::request::Request;
use authen_sasl_rust::contract::{
    Abilities, Answer, LayerLimits, Property, Question, Random, SecurityLayer, Side, Values,
};
use authen_sasl_rust::error::Error;
use authen_sasl_rust::layer::Stream;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::wire::saslprep;
use authen_sasl_rust::world::LocalWorld;

use crate::dialogue::Seeded;

pub fn bytes(text: impl AsRef<[u8]>, count: usize) -> Vec<u8> {
    text.as_ref().repeat(count)
}

pub fn told(session: &Session) -> String {
    session.failure().map(ToString::to_string).unwrap_or_default()
}

/// A server that gets these messages; whether it comes as far as to ask the application, or succeeds.
pub fn server(mechanism: &str, messages: &[&[u8]], ready: fn(&mut Session)) -> Result<(), String> {
    let mut world = LocalWorld::with_random(Box::new(Seeded(1)));
    let mut session = Session::new(Side::Server, authen_sasl_rust::mechanism::registry());
    session.config.abilities = Abilities::CREDENTIALS.union(Abilities::CHECK_TOKEN).union(Abilities::AUTHORIZE);
    session.config.host = "localhost".into();
    ready(&mut session);
    session.pick(mechanism).expect("a mechanism");
    let (initial, later) = match messages {
        [initial, later @ ..] if !mechanism.ends_with("MD5") => (Some(*initial), later),
        all => (None, all),
    };
    let mut outcome = session.start(initial, &mut world.lend());
    for message in later {
        outcome = session.step(message, &mut world.lend());
    }
    match outcome {
        Outcome::Ask | Outcome::Absent => Ok(()),
        _ => Err(told(&session)),
    }
}

/// A client with these values that gets these messages.
pub fn client(mechanism: &str, values: &[(Property, &[u8])], messages: &[&[u8]]) -> Result<(), String> {
    let mut world = LocalWorld::with_random(Box::new(Seeded(1)));
    let mut session = Session::new(Side::Client, authen_sasl_rust::mechanism::registry());
    session.config.abilities = Abilities(!Abilities::ACTS_AS_OTHER.0);
    session.config.max_iterations = 5000;
    session.config.min_iterations = 1;
    session.pick(mechanism).expect("a mechanism");
    let mut outcome = session.start(None, &mut world.lend());
    let mut messages = messages.iter();
    loop {
        outcome = match outcome {
            Outcome::Ask => {
                let answer = match session.question() {
                    Some(Question::Values(wanted)) => {
                        let mut answer = Values::default();
                        for (property, value) in values.iter().filter(|(property, _)| wanted.contains(property)) {
                            answer.push(*property, Secret::new(value));
                        }
                        Answer::Values(answer)
                    }
                    _ => Answer::Text(None),
                };
                session.answer(answer, &mut world.lend())
            }
            Outcome::Failed | Outcome::FailedWithMessage => return Err(told(&session)),
            _ => match messages.next() {
                Some(message) => session.step(message, &mut world.lend()),
                None => return Ok(()),
            },
        };
    }
}

pub const FRED: &[(Property, &[u8])] = &[(Property::Authcid, b"fred"), (Property::Password, b"pencil")];

/// What the client of [`client`] sends as its nonce.
pub fn client_nonce() -> String {
    Seeded(1).nonce().expect("a nonce")
}

pub fn in_its_place(before: &str, count: usize, after: &str) -> Vec<u8> {
    [before.as_bytes(), &bytes("a", count), after.as_bytes()].concat()
}

pub fn digest_response(before_name: &str, count: usize) -> Vec<u8> {
    let nonce = client_nonce();
    let rest = format!(
        "{before_name}username=\"fred\",realm=\"localhost\",nonce=\"{nonce}\",nc=00000001,cnonce=\"abc\",\
         digest-uri=\"imap/localhost\",response=00112233445566778899aabbccddeeff,qop=auth,x="
    );
    in_its_place(&rest, count - rest.len(), "")
}

pub fn text(message: &[u8]) -> &str {
    std::str::from_utf8(message).expect("text")
}

/// A client of OAuth whose server has refused.
pub fn refused_token(object: &[u8]) -> Result<(), String> {
    let values: &[(Property, &[u8])] = &[(Property::Authcid, b"fred"), (Property::Token, b"tok.en")];
    match client("OAUTHBEARER", values, &[object]) {
        Err(told) if told.contains("the server refused: x") => Ok(()),
        Err(told) => Err(told),
        Ok(()) => Err("it did not notice".into()),
    }
}

pub fn auth_request(mut stream: &[u8]) -> Result<(), String> {
    match Decoder::<Request>::default().next(&mut stream) {
        Ok(_) => Ok(()),
        Err(fault) => Err(fault.to_string()),
    }
}

/// A server whose application gives that.
pub fn known_by(stored: &[u8]) -> Result<(), String> {
    let mut world = LocalWorld::with_random(Box::new(Seeded(1)));
    let mut session = Session::new(Side::Server, authen_sasl_rust::mechanism::registry());
    session.config.abilities = Abilities::CREDENTIALS;
    session.config.max_iterations = 5000;
    session.pick("PLAIN").expect("a mechanism");
    session.start(Some(b"\0fred\0pencil"), &mut world.lend());
    session.answer(Answer::Credential(Some(Secret::new(stored))), &mut world.lend());
    // The client is answered as for a wrong password in any case; the server's own error tells the two apart.
    match told(&session) {
        told if session.fault().is_none() && told.contains("wrong password") => Ok(()),
        told => Err(told),
    }
}

/// A layer whose frames are the plaintext.
pub struct Open(usize);

impl SecurityLayer for Open {
    fn limits(&self) -> LayerLimits {
        LayerLimits { ssf: 1, max_plaintext: self.0, max_received: self.0 }
    }
    fn room(&self, length: usize) -> usize {
        length
    }
    fn encode(&mut self, _: &mut [u8], length: usize) -> Result<usize, Error> {
        Ok(length)
    }
    fn decode(&mut self, frame: &mut [u8]) -> Result<usize, Error> {
        Ok(frame.len())
    }
}

pub fn layer(max_received: usize) -> Stream {
    Stream::new(Box::new(Open(max_received)), Side::Server, "TEST")
}

pub fn prepare(name: &[u8]) -> Result<(), String> {
    match saslprep::query(text(name)) {
        Err(saslprep::Unprepared::TooLong) => Err("TooLong".into()),
        _ => Ok(()),
    }
}
