//! Questions to the application, and its answers.

use crate::secret::Secret;
use crate::wire::client_keys::ClientKeys;

use super::description::CredentialKind;
use super::values::{Property, Values};

/// A question to the application. Whoever adds a kind must change every binding too: the compiler finds each of them.
#[derive(Debug)]
pub enum Question {
    /// Client: these values, in one batch. Answered by [`Answer::Values`].
    Values(&'static [Property]),
    /// Client: which of the offered realms? Answered by [`Answer::Text`].
    Realm {
        /// The realms that the server offers, in its order; may be empty.
        offered: Vec<String>,
    },
    /// Server: is this the password? Answered by [`Answer::Verdict`]. The session asks `Credentials` instead if the
    /// application does not check passwords.
    CheckPassword {
        /// Authentication identity.
        authcid: String,
        /// Authorization identity, if the client has sent one.
        authzid: Option<String>,
        /// The password as received.
        password: Secret,
    },
    /// Server: the password or verifier of this user, or the tokens that it was issued. Answered by [`Answer::Credential`].
    Credentials {
        /// The kind that the mechanism needs.
        kind: CredentialKind,
        /// Authentication identity.
        authcid: String,
        /// Authorization identity, if the client has already sent one.
        authzid: Option<String>,
        /// The realm, where the mechanism has one.
        realm: Option<String>,
    },
    /// Server: replace what `Credentials` returned, if the store still has exactly that; else change nothing. Reading, comparing and
    /// writing must be one atomic step. Answered by [`Answer::Verdict`]: true if it was replaced.
    Replace {
        /// The kind of the credential.
        kind: CredentialKind,
        /// Authentication identity.
        authcid: String,
        /// The realm, where the mechanism has one.
        realm: Option<String>,
        /// The credential that the store must have.
        old: Secret,
        /// The credential that takes its place.
        new: Secret,
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
        /// The identity that was sent with the token: OAUTHBEARER's `a=`, XOAUTH2's `user=`.
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
        /// The prompt for the user.
        prompt: String,
        /// True if the input may be echoed.
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
    /// Both sides: the SCRAM keys of this login, for applications that asked for them ([`super::Abilities::KEEP_KEYS`]). Asked by
    /// the session, once the peer has proved itself and a server's client is authorized. The answer is [`Answer::Verdict`]; its
    /// value does not matter.
    KeepKeys {
        /// Authentication identity; on a server it is canonical.
        authcid: String,
        /// The keys, with which somebody else can log in as this user.
        keys: Box<ClientKeys>,
    },
    /// Server: store this verifier in place of what is stored. Asked by the session once the client has logged in with the password.
    /// Answered by [`Answer::Verdict`]: was it stored? The login succeeds in any case.
    SetVerifier {
        /// Authentication identity, canonical.
        authcid: String,
        /// The realm, where the mechanism has one.
        realm: Option<String>,
        /// The new verifier as text ([`crate::store::verifier`]).
        verifier: Secret,
        /// What was stored when the password was compared; `None` for nothing. If it has changed since, the user has another password.
        stored: Option<Secret>,
    },
}

/// The application's answer to a [`Question`].
#[derive(Debug)]
pub enum Answer {
    /// To [`Question::Values`].
    Values(Values),
    /// To [`Question::Realm`] and [`Question::Canonicalize`]; `None` declines.
    Text(Option<String>),
    /// To [`Question::CheckPassword`], [`Question::Replace`], [`Question::Authorize`], [`Question::KeepKeys`] and
    /// [`Question::SetVerifier`].
    Verdict(bool),
    /// To [`Question::Credentials`]: a password or a verifier as text (see [`crate::store::verifier`]), or tokens
    /// ([`crate::store::tokens`]); `None` for an unknown user. To [`Question::Challenge`]: what the user says.
    Credential(Option<Secret>),
    /// To [`Question::Token`].
    Token(TokenVerdict),
}

/// The identity that a token belongs to, or why it is refused (RFC 7628 §3.2.2).
#[derive(Debug)]
pub enum TokenVerdict {
    /// The token is accepted and authenticates this identity.
    Accepted {
        /// The identity.
        authcid: String,
    },
    /// The token is refused.
    Rejected {
        /// For instance `invalid_token`.
        status: String,
        /// The scope that is needed.
        scope: Option<String>,
        /// URL of the OpenID configuration.
        openid_configuration: Option<String>,
    },
}
