//! What a side of an exchange asks its application, and the answers.

use crate::secret::Secret;

use super::description::CredentialKind;
use super::values::{Property, Values};

/// A question to the application. Adding a kind touches this file and every boundary, on purpose: the compiler finds each of
/// them.
#[derive(Debug)]
pub enum Question {
    /// Client: these values, in one batch. Answered by [`Answer::Values`].
    Values(&'static [Property]),
    /// Client: which of the offered realms? Answered by [`Answer::Text`].
    Realm {
        /// What the server offers, in its order; may be empty.
        offered: Vec<String>,
    },
    /// Server: is this the password? Answered by [`Answer::Verdict`]. The session turns it into
    /// `Credentials` where the application has no `checkpass`.
    CheckPassword {
        /// Authentication identity.
        authcid: String,
        /// Authorization identity, if the client named one.
        authzid: Option<String>,
        /// The password as received.
        password: Secret,
    },
    /// Server: the password or verifier of this user, or the tokens that it was issued. Answered by [`Answer::Credential`].
    Credentials {
        /// What is of use to the mechanism.
        kind: CredentialKind,
        /// Authentication identity.
        authcid: String,
        /// Authorization identity, if the client named one already.
        authzid: Option<String>,
        /// The realm, where the mechanism has one.
        realm: Option<String>,
    },
    /// Server: may `authcid` act as `authzid`? Asked by the session. Answered by [`Answer::Verdict`].
    Authorize {
        /// Authentication identity, canonical.
        authcid: String,
        /// Authorization identity, canonical.
        authzid: String,
        /// The realm, where the mechanism has one.
        realm: Option<String>,
    },
    /// Server: whose is this OAuth token? Answered by [`Answer::Token`].
    Token {
        /// The bearer token.
        token: Secret,
        /// The identity named beside the token: OAUTHBEARER's `a=`, XOAUTH2's `user=`.
        user: Option<String>,
        /// OAUTHBEARER's host key.
        host: Option<String>,
        /// OAUTHBEARER's port key.
        port: Option<String>,
    },
    /// Client: what does the user answer to this challenge (a one-time password)? Answered by [`Answer::Credential`].
    Challenge {
        /// The server's challenge.
        challenge: String,
        /// What the user is to be asked, in words.
        prompt: String,
        /// True if what the user types may be seen.
        echo: bool,
    },
    /// Server: the canonical form of a name. Asked by the session. Answered by [`Answer::Text`].
    Canonicalize {
        /// True for the authorization identity.
        authzid: bool,
        /// The name as received.
        name: String,
        /// The realm, where the mechanism has one.
        realm: Option<String>,
    },
}

/// The application's answer to a [`Question`].
#[derive(Debug)]
pub enum Answer {
    /// To [`Question::Values`].
    Values(Values),
    /// To [`Question::Realm`] and [`Question::Canonicalize`]; `None` declines.
    Text(Option<String>),
    /// To [`Question::CheckPassword`] and [`Question::Authorize`].
    Verdict(bool),
    /// To [`Question::Credentials`]: a password or a verifier as text (see [`crate::store::verifier`]), or tokens
    /// ([`crate::store::tokens`]); `None` for an unknown user. To [`Question::Challenge`]: what the user says.
    Credential(Option<Secret>),
    /// To [`Question::Token`].
    Token(TokenVerdict),
}

/// Whose a token is, or why it is refused (RFC 7628 §3.2.2).
#[derive(Debug)]
pub enum TokenVerdict {
    /// It is good, and authenticates this identity.
    Accepted {
        /// The identity.
        authcid: String,
    },
    /// It is refused.
    Rejected {
        /// For instance `invalid_token`.
        status: String,
        /// Scope that would be needed.
        scope: Option<String>,
        /// URL of the OpenID configuration.
        openid_configuration: Option<String>,
    },
}
