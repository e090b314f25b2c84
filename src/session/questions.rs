//! What the session derives from the questions to an application.

use crate::contract::{Abilities, Answer, CredentialKind, Question, Side, TokenVerdict, NAME_LIMIT};
use crate::error::{Application, Error, Malformed, Subject};

/// The answer to a question about an unknown user.
pub fn unknown_user(question: &Question) -> Answer {
    match question {
        Question::CheckPassword { .. } | Question::Replace { .. } => Answer::Verdict(false),
        Question::Canonicalize { .. } => Answer::Text(None),
        _ => Answer::Credential(None),
    }
}

/// An answer of the same kind for an unknown user.
pub fn of_unknown(answer: Answer) -> Answer {
    match answer {
        Answer::Verdict(_) => Answer::Verdict(false),
        Answer::Credential(_) => Answer::Credential(None),
        other => other,
    }
}

/// The ability that answers this question of a server. A client's application always answers itself.
pub fn ability_for(question: &Question) -> Abilities {
    match question {
        Question::CheckPassword { .. } => Abilities::CHECK_PASSWORD,
        Question::Credentials { kind: CredentialKind::HtTokens(_), .. } => Abilities::HT_TOKENS,
        Question::Credentials { kind: CredentialKind::Otp, .. } | Question::Replace { .. } => Abilities::OTP,
        Question::Credentials { .. } => Abilities::CREDENTIALS,
        Question::Authorize { .. } => Abilities::AUTHORIZE,
        Question::Canonicalize { .. } => Abilities::CANONICALIZE,
        Question::Token { .. } => Abilities::CHECK_TOKEN,
        Question::KeepKeys { .. } => Abilities::KEEP_KEYS,
        Question::SetVerifier { .. } => Abilities::SET_VERIFIER,
        Question::Values(_) | Question::Realm { .. } | Question::Challenge { .. } => Abilities::NONE,
    }
}

/// True if accounts that answer this question decide with it whether the user gets in.
pub fn decides_admission(question: &Question) -> bool {
    matches!(question, Question::CheckPassword { .. } | Question::Credentials { .. } | Question::Replace { .. })
}

/// The names that the peer has sent; a client's questions have none.
pub fn names_of(question: &Question) -> [Option<&String>; 4] {
    match question {
        Question::CheckPassword { authcid, authzid, .. } => [Some(authcid), authzid.as_ref(), None, None],
        Question::Credentials { authcid, authzid, realm, .. } => {
            [Some(authcid), authzid.as_ref(), realm.as_ref(), None]
        }
        Question::Token { user, host, port, .. } => [user.as_ref(), host.as_ref(), port.as_ref(), None],
        _ => [None; 4],
    }
}

/// The error if one of the names is longer than [`NAME_LIMIT`].
pub fn overlong(names: &[Option<&String>]) -> Option<Error> {
    let found = names.iter().flatten().any(|name| name.len() > NAME_LIMIT);
    let reason = Malformed::TooLong { field: "a name", limit: NAME_LIMIT };
    found.then(|| Error::malformed("message", reason))
}

/// The error if a name in an answer of the application or the accounts is longer than [`NAME_LIMIT`]. A client's values are checked
/// where a mechanism takes them ([`crate::contract::Values`]).
pub fn overlong_answer(side: Side, answer: &Answer) -> Option<Error> {
    let (name, what) = match (side, answer) {
        (Side::Client, Answer::Text(Some(realm))) => (realm, Subject::Realm),
        (Side::Server, Answer::Text(Some(name))) => (name, Subject::CanonicalName),
        (_, Answer::Token(TokenVerdict::Accepted { authcid })) => (authcid, Subject::TokenIdentity),
        _ => return None,
    };
    (name.len() > NAME_LIMIT).then(|| Application::Unusable { what, reason: "is longer than 4096 bytes" }.into())
}

pub fn authcid_of(question: &Question) -> Option<&str> {
    match question {
        Question::CheckPassword { authcid, .. } | Question::Credentials { authcid, .. } => Some(authcid),
        _ => None,
    }
}

/// The identity that the client of a server claims, if the question has one.
pub fn claimed_by(question: &Question) -> Option<&str> {
    match question {
        Question::Token { user, .. } => user.as_deref(),
        Question::Canonicalize { authzid: false, name, .. } => Some(name),
        question => authcid_of(question),
    }
}

pub fn renamed(question: Question, name: String) -> Question {
    match question {
        Question::CheckPassword { authzid, password, .. } => {
            Question::CheckPassword { authcid: name, authzid, password }
        }
        Question::Credentials { kind, authzid, realm, .. } => {
            Question::Credentials { kind, authcid: name, authzid, realm }
        }
        Question::Replace { kind, realm, old, new, .. } => Question::Replace { kind, authcid: name, realm, old, new },
        other => other,
    }
}
