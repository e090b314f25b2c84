//! The server.

use crate::contract::{Context, Established, Event, Question, State, Step};
use crate::error::{Code, Error, Refused};
use crate::secret::Secret;
use crate::store::otp::{OtpState, LAST_SEQUENCE};
use crate::wire::saslprep;

use super::messages::{Challenge, Identities, Response, FIRST, RESPONSE};

/// How long a user is locked by an exchange that does not end.
pub const LOCK_SECONDS: u64 = 120;

pub struct AwaitIdentities;

struct AwaitState {
    user: User,
}

struct AwaitLock {
    user: User,
    chain: Chain,
}

struct AwaitResponse {
    user: User,
    chain: Chain,
}

struct AwaitReplaced {
    user: User,
    /// Why the exchange fails even if the state was replaced.
    error: Option<Error>,
}

struct User {
    authcid: String,
    authzid: Option<String>,
}

/// The chain of a user, or a mock chain.
struct Chain {
    state: OtpState,
    /// The text of it in the store, which must not have changed when it is replaced. `None` for an unknown user.
    stored: Option<Secret>,
    locked: bool,
}

impl User {
    /// The kind of the question tells the application which of its stores is meant.
    fn replace(&self, old: Secret, new: &OtpState, cx: &Context<'_, '_>) -> Question {
        let (kind, authcid) = (cx.mechanism.credential, self.authcid.clone());
        Question::Replace { kind, authcid, realm: None, old, new: new.print() }
    }
}

impl State for AwaitIdentities {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let Identities { authzid, authcid } = Identities::parse(event.received(FIRST)?)?;
        // A name that cannot be prepared belongs to no user, as in the other mechanisms.
        let authcid = saslprep::query(authcid).map_err(|_| Refused::Credentials)?.into_owned();
        let authzid = (!authzid.is_empty()).then(|| authzid.to_owned());
        let question = Question::Credentials {
            kind: cx.mechanism.credential,
            authcid: authcid.clone(),
            authzid: authzid.clone(),
            realm: None,
        };
        Ok(Step::Ask(question, Box::new(AwaitState { user: User { authcid, authzid } })))
    }
}

impl State for AwaitState {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let user = self.user;
        let salt_key = cx.config.salt_key().map_or(cx.world.salt_key, Secret::expose);
        let mock = OtpState::mock(&user.authcid, &cx.config.host, salt_key);
        let Some(stored) = event.credential()? else {
            return Ok(challenge(user, Chain { state: mock, stored: None, locked: false }));
        };
        let state = OtpState::parse(stored.expose())?;
        let locks = cx.config.external_ssf == 0;
        let now = match cx.world.clock {
            Some(clock) => clock(),
            None if locks || state.locked_until > 0 => return Err(Error::System("OTP needs a clock for its locks")),
            None => 0,
        };
        if state.locked_until > now {
            return Err(busy());
        }
        let chain = Chain { state, stored: Some(stored.clone()), locked: false };
        if !locks {
            return Ok(challenge(user, chain));
        }
        let locked = OtpState { locked_until: now + LOCK_SECONDS, ..chain.state.clone() };
        let question = user.replace(stored, &locked, cx);
        let chain = Chain { stored: Some(locked.print()), locked: true, ..chain };
        Ok(Step::Ask(question, Box::new(AwaitLock { user, chain })))
    }
}

impl State for AwaitLock {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        match event.verdict()? {
            true => Ok(challenge(self.user, self.chain)),
            false => Err(busy()),
        }
    }
}

/// The client may try again: nothing was used up.
fn busy() -> Error {
    Error::outside(Code::TryAgain, "another exchange of this user is in progress (RFC 2289 section 9)")
}

fn challenge(user: User, chain: Chain) -> Step {
    let OtpState { hash, sequence, seed, .. } = &chain.state;
    let challenge = Challenge { hash: *hash, sequence: *sequence - 1, seed: seed.clone() };
    Step::Send(challenge.print(), Box::new(AwaitResponse { user, chain }))
}

impl State for AwaitResponse {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let AwaitResponse { user, chain } = *self;
        let Chain { state, stored, locked } = chain;
        let response = Response::parse(event.received(RESPONSE)?);
        let is_right = response.as_ref().is_ok_and(|response| state.continues_with(&response.current));
        // An unknown user fails after the same work.
        let (response, stored) = match (response, stored) {
            (Ok(response), Some(stored)) if is_right => (response, stored),
            (response, stored) => {
                let error = response.err().unwrap_or(Refused::Credentials.into());
                let Some(stored) = stored.filter(|_| locked) else { return Err(error) };
                let unlocked = OtpState { locked_until: 0, ..state };
                let question = user.replace(stored, &unlocked, cx);
                return Ok(Step::Ask(question, Box::new(AwaitReplaced { user, error: Some(error) })));
            }
        };
        // The password is used up even if the client cannot begin the chain that it wants: somebody may have read it.
        let used = state.after(response.current);
        let (new, error) = match response.renewed {
            None => (used, None),
            Some(Ok(new)) if new.sequence <= LAST_SEQUENCE => (used, Some(unfit("a sequence number from 2"))),
            Some(Ok(new)) if new.seed == state.seed => (used, Some(unfit("another seed than the current one"))),
            Some(Ok(new)) => (new, None),
            Some(Err(error)) => (used, Some(error)),
        };
        let question = user.replace(stored, &new, cx);
        Ok(Step::Ask(question, Box::new(AwaitReplaced { user, error })))
    }
}

/// RFC 2243 §4: a new chain must not repeat an earlier one.
fn unfit(expected: &'static str) -> Error {
    Error::malformed(RESPONSE, crate::error::Malformed::Expected(expected))
}

impl State for AwaitReplaced {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let replaced = event.verdict()?;
        if let Some(error) = self.error {
            return Err(error);
        }
        if !replaced {
            return Err(Refused::OtpUsed.into());
        }
        let User { authcid, authzid } = self.user;
        Ok(Step::Done(Established { authcid, authzid, ..Established::default() }))
    }
}
