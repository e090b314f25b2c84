//! OTP (RFC 2444): one-time passwords of RFC 2289, in the extended responses of RFC 2243.
//!
//! ```text
//! C: [authzid] NUL authcid
//! S: otp-md5 498 ho1234 ext
//! C: hex:9e876134d90499dd
//! ```
//!
//! Each login uses up a one-time password: the server replaces its [`crate::store::otp::OtpState`] by one with the password that it
//! has just received. It does so with [`Question::Replace`], which compares and sets, so that of two exchanges with the same
//! password one alone succeeds.
//!
//! Whoever reads a response may send it sooner than the client that made it (RFC 2289 §9). Where the transport is not protected,
//! an exchange therefore locks its user for two minutes, and a second exchange is refused before it gets a challenge.
//!
//! [`Question::Replace`]: crate::contract::Question::Replace

mod client;
mod messages;
mod server;
#[cfg(test)]
mod tests;

use crate::accounts::Account;
use crate::contract::{
    Abilities, CredentialKind, Description, Mechanism, Next, Outline, SecurityFlags, Sent, Setup, Side,
};
use crate::crypto::otp::OtpHash;
use crate::error::{Code, Error, Rejection, Subject};
use crate::secret::Secret;
use crate::store::otp::{self, OtpState, FIRST_SEQUENCE, PROPERTY};
use crate::world::OsRandom;

use messages::{Challenge, Identities, Response};

pub static MECHANISM: Otp = Otp {
    description: Description {
        // Below PLAIN and LOGIN: a server's list has OTP for all users, and a password is no pass phrase.
        rank: 5,
        // Those of libsasl2's plugin. What is read on the wire is of no use in the next exchange.
        security: SecurityFlags::NOPLAINTEXT.union(SecurityFlags::NOANONYMOUS).union(SecurityFlags::FORWARD_SECRECY),
        credential: CredentialKind::Otp,
        client_needs: Abilities::AUTHCID,
        carries_authzid: true,
        ..Description::new("OTP")
    },
};

/// The mechanism. Its server stores a state for each user.
pub struct Otp {
    description: Description,
}

impl Mechanism for Otp {
    fn description(&self) -> &Description {
        &self.description
    }

    fn client(&'static self) -> Next {
        Box::new(client::AwaitBegin)
    }

    fn server(&'static self) -> Next {
        Box::new(server::AwaitIdentities)
    }

    fn unavailable_reason(&'static self, side: Side, setup: Setup<'_>) -> Option<Rejection> {
        let either = Abilities::PASSWORD.union(Abilities::CHALLENGE);
        let missing = side == Side::Client && !setup.config.abilities.intersects(either);
        missing.then(|| Rejection::MissingAny([Subject::Password, Subject::ChallengeAnswer].into()))
    }

    fn outline(&self, message: &Sent<'_>) -> Option<Outline> {
        if message.from == Side::Server {
            return Challenge::parse(message.bytes).ok().map(|challenge| challenge.outline());
        }
        // Its place tells what it is: a damaged response must not be taken for names.
        match message.index {
            0 => Identities::parse(message.bytes).ok().map(|identities| identities.outline()),
            _ => Response::parse(message.bytes).ok().map(|response| response.outline()),
        }
    }

    fn keeps_secrets(&'static self) -> bool {
        true
    }

    /// Begins a new chain in the accounts.
    fn set_secret(
        &'static self,
        setup: Setup<'_>,
        user: &str,
        password: Option<&Secret>,
        flags: u32,
    ) -> Result<(), Error> {
        let Some(accounts) = setup.accounts else {
            return Err(Error::outside(Code::NoMech, "OTP: no account store keeps the state of this user"));
        };
        // SASL_SET_DISABLE of sasl.h.
        const DISABLE: u32 = 2;
        let account = Account { authcid: user, authzid: None, realm: setup.config.realm() };
        let state = match password.filter(|_| flags & DISABLE == 0) {
            Some(phrase) => {
                otp::check_phrase(phrase)?;
                let seed = otp::new_seed(&setup.config.host, "", &mut OsRandom)?;
                Some(OtpState::new(OtpHash::Md5, phrase.expose(), &seed, FIRST_SEQUENCE).print())
            }
            None => None,
        };
        accounts.store(account, &[(PROPERTY, state.as_ref())], setup.config)
    }
}
