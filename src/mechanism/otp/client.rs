//! The client.

use crate::contract::{Abilities, Context, Established, Event, Property, Question, State, Step};
use crate::error::{Application, Error, Subject};
use crate::secret::Secret;
use crate::store::otp::{new_seed, OtpState, FIRST_SEQUENCE};

use super::messages::{Challenge, Identities, Response, CHALLENGE};

/// The prompt for a user with a list of one-time passwords or a calculator.
const PROMPT: &str = "Please enter your one-time password";

pub struct AwaitBegin;

struct AwaitValues;

struct AwaitChallenge {
    identity: Identity,
    phrase: Option<Secret>,
}

struct AwaitAnswer {
    identity: Identity,
}

struct Identity {
    authcid: String,
    authzid: Option<String>,
}

impl Identity {
    /// The server says nothing in this mechanism once it has the response.
    fn done(self, last: Vec<u8>) -> Step {
        let Identity { authcid, authzid } = self;
        Step::Done(Established { last: Some(last), authcid, authzid, ..Established::default() })
    }
}

impl State for AwaitBegin {
    /// The pass phrase is not needed if the user answers challenges.
    fn step(self: Box<Self>, _: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let wanted: &[Property] = match cx.config.abilities.contains(Abilities::CHALLENGE) {
            true => &[Property::Authcid, Property::Authzid],
            false => &[Property::Authcid, Property::Authzid, Property::Password],
        };
        Ok(Step::Ask(Question::Values(wanted), Box::new(AwaitValues)))
    }
}

impl State for AwaitValues {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let mut values = event.values()?;
        let authzid = values.optional_text(Property::Authzid)?;
        let authcid = values.require_text(Property::Authcid)?;
        let phrase = match cx.config.abilities.contains(Abilities::CHALLENGE) {
            true => None,
            false => Some(values.require_password(Property::Password)?),
        };
        let message = Identities { authzid: authzid.as_deref().unwrap_or_default(), authcid: &authcid }.print();
        let identity = Identity { authcid, authzid };
        Ok(Step::Send(message, Box::new(AwaitChallenge { identity, phrase })))
    }
}

impl State for AwaitChallenge {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let AwaitChallenge { identity, phrase } = *self;
        let received = event.received(CHALLENGE)?;
        let challenge = Challenge::parse(received)?;
        let Some(phrase) = phrase else {
            let challenge = String::from_utf8_lossy(received).into_owned();
            let question = Question::Challenge { challenge, prompt: PROMPT.into(), echo: true };
            return Ok(Step::Ask(question, Box::new(AwaitAnswer { identity })));
        };
        let Challenge { hash, sequence, seed } = &challenge;
        let current = hash.compute(phrase.expose(), seed, *sequence);
        let renewed = match *sequence < cx.config.otp_renew() {
            true => {
                let seed = new_seed(&cx.config.host, seed, cx.world.random)?;
                Some(Ok(OtpState::new(*hash, phrase.expose(), &seed, FIRST_SEQUENCE)))
            }
            false => None,
        };
        Ok(identity.done(Response { current, renewed }.print()))
    }
}

impl State for AwaitAnswer {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let missing = || Error::from(Application::Missing(Subject::ChallengeAnswer));
        let answer = event.credential()?.filter(|answer| !answer.is_empty()).ok_or_else(missing)?;
        let text = answer.expose_str().map(str::trim).unwrap_or_default();
        if Response::parse(text.as_bytes()).is_ok() {
            return Ok(self.identity.done(text.into()));
        }
        // What a calculator shows has no form before it.
        let forms = ["hex:", "word:"].map(|form| Secret::from([form, text].concat()));
        match forms.iter().find(|form| Response::parse(form.expose()).is_ok()) {
            Some(form) => Ok(self.identity.done(form.expose().to_vec())),
            None => {
                let reason =
                    "is no one-time password: 16 hexadecimal digits or six words of the standard dictionary (RFC 2289)";
                Err(Application::Unusable { what: Subject::ChallengeAnswer, reason }.into())
            }
        }
    }
}
