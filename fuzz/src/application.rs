//! The application of a side. The input decides whether it answers honestly.
//!
//! It never accepts a wrong secret: that would be a fault of the application, not of the core.

use authen_sasl_rust::contract::{Answer, CredentialKind, Property, Question, TokenVerdict, Values};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::check::check_password;
use authen_sasl_rust::store::otp::OtpState;
use authen_sasl_rust::store::verifier::Verifier;
use authen_sasl_rust::world::LookupMemory;

use crate::facts::ExchangeFacts;

/// How the application answers the next question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// With what was asked for.
    Honest,
    /// With nothing: no value, an unknown user, a refusal.
    Nothing,
    /// With the answer to another question.
    WrongKind,
    /// With values that no mechanism should accept.
    Garbage(u8),
    /// After the program has continued without waiting for the answer.
    Late,
    /// Twice.
    Twice,
    /// Not at all: the program aborts the exchange.
    Abort,
}

/// The answer of an honest application, and the authorization that it grants: who may act as whom.
pub fn answer(question: &Question, facts: &ExchangeFacts) -> (Answer, Option<(String, String)>) {
    let known = |name: &str| facts.user_known && name == facts.name;
    let mut authorized = None;
    let answer = match question {
        Question::Values(wanted) => {
            let secret = facts.client_secret();
            let values = [
                (Property::Authcid, Some(facts.name)),
                (Property::Authzid, facts.authzid.as_deref()),
                (Property::Password, Some(&*secret)),
                (Property::Token, Some(&*secret)),
                (Property::HtToken, Some(&*secret)),
                (Property::Host, Some("mail.example.com")),
                (Property::Port, Some("143")),
                (Property::Identity, facts.authzid.as_deref().or(Some(facts.name))),
            ];
            let mut given = Values::default();
            for (property, value) in values {
                // The authzid is also given to a mechanism that cannot transmit it, so that the mechanism can refuse.
                let is_given = wanted.contains(&property)
                    || property == Property::Authzid && !facts.declares_other && wanted.contains(&Property::Authcid);
                if let (true, Some(value)) = (is_given, value) {
                    given.push(property, Secret::new(value.as_bytes()));
                }
            }
            Answer::Values(given)
        }
        Question::Realm { .. } => Answer::Text(None),
        Question::CheckPassword { authcid, password, .. } => {
            Answer::Verdict(known(authcid) && password.ct_eq(facts.secret().as_bytes()))
        }
        Question::Credentials { kind: CredentialKind::Otp, authcid, .. } => {
            Answer::Credential(known(authcid).then(|| facts.otp.borrow().print()))
        }
        Question::Replace { authcid, old, new, .. } => {
            let mut state = facts.otp.borrow_mut();
            let same = known(authcid) && state.print().ct_eq(old.expose());
            if same {
                *state = OtpState::parse(new.expose()).expect("a state that can be stored");
            }
            Answer::Verdict(same)
        }
        Question::Credentials { authcid, .. } => {
            Answer::Credential(known(authcid).then(|| Secret::from(facts.credential())))
        }
        Question::Authorize { authcid, authzid, .. } => {
            let allowed = authzid == "somebody else";
            authorized = allowed.then(|| (authcid.clone(), authzid.clone()));
            Answer::Verdict(allowed)
        }
        Question::Token { token, .. } => {
            Answer::Token(match token.ct_eq(facts.secret().as_bytes()) && facts.user_known {
                true => TokenVerdict::Accepted { authcid: facts.name.to_owned() },
                false => TokenVerdict::Rejected {
                    status: "invalid_token".into(),
                    scope: Some("mail".into()),
                    openid_configuration: None,
                },
            })
        }
        Question::Canonicalize { name, .. } => Answer::Text(Some(name.clone())),
        Question::SetVerifier { authcid, verifier, stored, .. } => {
            assert!(known(authcid), "a verifier of somebody else: {authcid}");
            stronger(verifier, stored.as_ref(), &facts.secret());
            Answer::Verdict(true)
        }
        // The keys belong to the name that the client gave, or to its canonical form.
        Question::KeepKeys { authcid, keys } => {
            assert!(known(authcid) && !keys.salt.is_empty(), "keys of somebody else: {authcid}");
            Answer::Verdict(true)
        }
        other => panic!("an unknown question: {other:?}"),
    };
    (answer, authorized)
}

/// A verifier that is handed over fits the user's secret, and is stronger than the stored one.
fn stronger(verifier: &Secret, stored: Option<&Secret>, secret: &str) {
    let strength = |text| Verifier::read(text).expect("a verifier, or a password").map(|verifier| verifier.strength());
    let new = strength(verifier).expect("a verifier");
    if let Some(old) = stored.and_then(strength) {
        assert!(new != old && new.union(old) == new, "{new:?} takes the place of {old:?}");
    }
    let fits = check_password(Some(verifier.clone()), &Secret::new(secret.as_bytes()), None, &LookupMemory::new());
    assert_eq!(fits, Ok(true), "a verifier that does not fit the user's password");
}

/// The answer of a faulty application, which nevertheless accepts no wrong secret.
pub fn dishonest(question: &Question, behavior: Behavior, facts: &ExchangeFacts) -> Answer {
    const GARBAGE: [&[u8]; 8] =
        [b"", b"\xff\xfe", b"a\0b", b"\xc2\xad", b"SCRAM-SHA-256$", b"\n\x01,=\"\\", &[b'x'; 5000], b"\xd8\xa71"];
    let bytes = match behavior {
        Behavior::Garbage(which) => Some(GARBAGE[usize::from(which) % GARBAGE.len()]),
        _ => None,
    };
    let text = bytes.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    match (question, behavior) {
        (Question::Realm { .. } | Question::Canonicalize { .. }, Behavior::WrongKind) => Answer::Verdict(true),
        (_, Behavior::WrongKind) => Answer::Text(Some("fred".into())),
        (Question::Values(wanted), _) => {
            let mut values = Values::default();
            for property in *wanted {
                if let Some(bytes) = bytes {
                    values.push(*property, Secret::new(bytes));
                }
            }
            Answer::Values(values)
        }
        (Question::Realm { .. } | Question::Canonicalize { .. }, _) => Answer::Text(text),
        (
            Question::CheckPassword { .. }
            | Question::Authorize { .. }
            | Question::KeepKeys { .. }
            | Question::SetVerifier { .. }
            | Question::Replace { .. },
            _,
        ) => Answer::Verdict(false),
        // A credential must not be guessable, so garbage gets a secret suffix, except when it is empty or looks like a verifier.
        (Question::Credentials { .. }, _) => Answer::Credential(bytes.map(|bytes| match bytes {
            b"" | b"SCRAM-SHA-256$" => Secret::new(bytes),
            other => Secret::from([other, facts.secret().as_bytes(), b"?"].concat()),
        })),
        (Question::Token { .. }, _) => {
            let status = text.clone().unwrap_or_default();
            Answer::Token(TokenVerdict::Rejected { status, scope: text.clone(), openid_configuration: text })
        }
        (other, _) => panic!("an unknown question: {other:?}"),
    }
}
