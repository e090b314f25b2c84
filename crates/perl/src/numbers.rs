//! The numbers of `ffi.h`. A test compares them with the header.

use authen_sasl_rust::contract::Property;

/// The properties, each at its own number.
pub const PROPERTIES: [Property; 11] = [
    Property::Authcid,
    Property::Authzid,
    Property::Password,
    Property::Realm,
    Property::Token,
    Property::Host,
    Property::Port,
    Property::ServName,
    Property::Identity,
    Property::HtToken,
    Property::ScramKeys,
];

/// Outcomes of a call ([`authen_sasl_rust::session::Outcome`]).
pub mod outcome {
    use authen_sasl_rust::session::Outcome;

    /// There is a message for the peer.
    pub const SEND: i32 = Outcome::Send as i32;
    /// There is no message.
    pub const ABSENT: i32 = Outcome::Absent as i32;
    /// A question waits for its answer.
    pub const ASK: i32 = Outcome::Ask as i32;
    /// The exchange has failed.
    pub const FAILED: i32 = Outcome::Failed as i32;
    /// The exchange has failed, and the peer must get a message.
    pub const FAILED_WITH_MESSAGE: i32 = Outcome::FailedWithMessage as i32;
    /// The exchange was over already.
    pub const OVER: i32 = Outcome::Over as i32;
    /// A question still waits for its answer.
    pub const BUSY: i32 = Outcome::Busy as i32;
}

/// Kinds of questions ([`authen_sasl_rust::contract::Question`]).
pub mod question_kind {
    /// Values of properties.
    pub const VALUES: i32 = 1;
    /// A realm.
    pub const REALM: i32 = 2;
    /// A verdict on a password.
    pub const CHECK_PASSWORD: i32 = 3;
    /// A password or a verifier.
    pub const CREDENTIALS: i32 = 4;
    /// A verdict on an authorization identity.
    pub const AUTHORIZE: i32 = 5;
    /// The identity that a token belongs to.
    pub const TOKEN: i32 = 6;
    /// The canonical form of a name.
    pub const CANONICALIZE: i32 = 7;
    /// The answer to a challenge that is shown to the user.
    pub const CHALLENGE: i32 = 8;
    /// The tokens that a user was issued.
    pub const HT_TOKENS: i32 = 9;
    /// The SCRAM keys of this login.
    pub const KEEP_KEYS: i32 = 10;
    /// A stronger verifier to store.
    pub const SET_VERIFIER: i32 = 11;
    /// The state of OTP of a user.
    pub const OTP_STATE: i32 = 12;
    /// The state that takes its place.
    pub const OTP_REPLACE: i32 = 13;
}

/// Why an exchange is aborted.
pub mod abort_reason {
    /// The callback died or was left without returning.
    pub const DIED: i32 = 0;
    /// The callback is neither a value nor code.
    pub const NOT_CALLABLE: i32 = 1;
    /// The callback is not code.
    pub const NO_CODE: i32 = 2;
    /// The callback neither called nor kept its continuation.
    pub const DROPPED: i32 = 3;
    /// The callback returned a reference.
    pub const REFERENCE: i32 = 4;
    /// The callback kept a continuation, but the caller cannot wait for it.
    pub const KEPT: i32 = 5;
    /// The callback returned a name that is too long.
    pub const TOO_LONG: i32 = 6;
}

/// What SASLprep does to a name.
pub mod preparation {
    /// Nothing: it is prepared.
    pub const PREPARED: i32 = 0;
    /// It changes it.
    pub const CHANGED: i32 = 1;
    /// It forbids it.
    pub const FORBIDDEN: i32 = 2;
}

/// Whether a user whose password is set must exist.
pub mod expected_user {
    /// It must not.
    pub const NEW: i32 = 0;
    /// It must.
    pub const KNOWN: i32 = 1;
    /// Either.
    pub const ANY: i32 = 2;
}

#[cfg(test)]
mod tests {
    use super::*;
    use authen_sasl_rust::contract::{Abilities, NAME_LIMIT};
    use authen_sasl_rust::crypto::hash::Hash;

    /// The constants of the header's enumerations, in its order. Comments are left out.
    fn header() -> Vec<(String, i64)> {
        let mut text = include_str!("ffi.h").to_owned();
        while let Some(start) = text.find("/*") {
            let end = start + text[start..].find("*/").unwrap() + 2;
            text.replace_range(start..end, " ");
        }
        let mut found = Vec::new();
        for list in text.split("enum {").skip(1) {
            let mut next = 0;
            for item in list[..list.find('}').unwrap()].split(',').map(str::trim).filter(|item| !item.is_empty()) {
                let (name, value) = item.split_once('=').map_or((item, None), |(name, value)| (name, Some(value)));
                if let Some(value) = value {
                    let number = |text: &str| text.trim().parse::<i64>().unwrap();
                    next = value.split_once("<<").map_or_else(|| number(value), |(a, b)| number(a) << number(b));
                }
                found.push((name.trim().to_owned(), next));
                next += 1;
            }
        }
        found
    }

    fn property_name(property: Property) -> &'static str {
        match property {
            Property::Authcid => "ASR_AUTHCID",
            Property::Authzid => "ASR_AUTHZID",
            Property::Password => "ASR_PASSWORD",
            Property::Realm => "ASR_REALM",
            Property::Token => "ASR_TOKEN",
            Property::Host => "ASR_HOST",
            Property::Port => "ASR_PORT",
            Property::ServName => "ASR_SERV",
            Property::Identity => "ASR_IDENTITY",
            Property::HtToken => "ASR_HT_TOKEN",
            Property::ScramKeys => "ASR_SCRAM_KEYS",
        }
    }

    #[test]
    fn the_header_has_the_same_numbers() {
        let mut ours: Vec<(&str, i64)> = vec![
            ("ASR_SEND", outcome::SEND.into()),
            ("ASR_ABSENT", outcome::ABSENT.into()),
            ("ASR_ASK", outcome::ASK.into()),
            ("ASR_FAILED", outcome::FAILED.into()),
            ("ASR_FAILED_WITH_MESSAGE", outcome::FAILED_WITH_MESSAGE.into()),
            ("ASR_OVER", outcome::OVER.into()),
            ("ASR_BUSY", outcome::BUSY.into()),
        ];
        ours.extend(PROPERTIES.map(|property| (property_name(property), property as i64)));
        ours.push(("ASR_PROPERTIES", PROPERTIES.len() as i64));
        let scram_keys = Hash::ALL.into_iter().fold(0, |bits, hash| bits | Abilities::scram_keys(hash).0);
        ours.extend([
            ("ASR_CAN_ACT_AS_OTHER", Abilities::ACTS_AS_OTHER.0.into()),
            ("ASR_CAN_CHALLENGE", Abilities::CHALLENGE.0.into()),
            ("ASR_CAN_CHECKPASS", Abilities::CHECK_PASSWORD.0.into()),
            ("ASR_CAN_GETSECRET", Abilities::CREDENTIALS.0.into()),
            ("ASR_CAN_AUTHORIZE", Abilities::AUTHORIZE.0.into()),
            ("ASR_CAN_CHECKTOKEN", Abilities::CHECK_TOKEN.0.into()),
            ("ASR_CAN_CANONUSER", Abilities::CANONICALIZE.0.into()),
            ("ASR_CAN_HT_TOKENS", Abilities::HT_TOKENS.0.into()),
            ("ASR_CAN_SCRAM_KEYS", scram_keys.into()),
            ("ASR_CAN_KEEP_KEYS", Abilities::KEEP_KEYS.0.into()),
            ("ASR_CAN_SET_VERIFIER", Abilities::SET_VERIFIER.0.into()),
            ("ASR_CAN_OTP", Abilities::OTP.0.into()),
            ("ASR_Q_VALUES", question_kind::VALUES.into()),
            ("ASR_Q_REALM", question_kind::REALM.into()),
            ("ASR_Q_CHECKPASS", question_kind::CHECK_PASSWORD.into()),
            ("ASR_Q_GETSECRET", question_kind::CREDENTIALS.into()),
            ("ASR_Q_AUTHORIZE", question_kind::AUTHORIZE.into()),
            ("ASR_Q_TOKEN", question_kind::TOKEN.into()),
            ("ASR_Q_CANONUSER", question_kind::CANONICALIZE.into()),
            ("ASR_Q_CHALLENGE", question_kind::CHALLENGE.into()),
            ("ASR_Q_HT_TOKENS", question_kind::HT_TOKENS.into()),
            ("ASR_Q_KEEP_KEYS", question_kind::KEEP_KEYS.into()),
            ("ASR_Q_SET_VERIFIER", question_kind::SET_VERIFIER.into()),
            ("ASR_Q_OTP_STATE", question_kind::OTP_STATE.into()),
            ("ASR_Q_OTP_REPLACE", question_kind::OTP_REPLACE.into()),
            ("ASR_DIED", abort_reason::DIED.into()),
            ("ASR_NOT_CALLABLE", abort_reason::NOT_CALLABLE.into()),
            ("ASR_NO_CODE", abort_reason::NO_CODE.into()),
            ("ASR_DROPPED", abort_reason::DROPPED.into()),
            ("ASR_REFERENCE", abort_reason::REFERENCE.into()),
            ("ASR_KEPT", abort_reason::KEPT.into()),
            ("ASR_TOO_LONG", abort_reason::TOO_LONG.into()),
            ("ASR_NAME_LIMIT", NAME_LIMIT as i64),
            ("ASR_PREPARED", preparation::PREPARED.into()),
            ("ASR_CHANGED", preparation::CHANGED.into()),
            ("ASR_FORBIDDEN", preparation::FORBIDDEN.into()),
            ("ASR_NEW_USER", expected_user::NEW.into()),
            ("ASR_KNOWN_USER", expected_user::KNOWN.into()),
            ("ASR_ANY_USER", expected_user::ANY.into()),
        ]);
        let theirs = header();
        let theirs: Vec<(&str, i64)> = theirs.iter().map(|(name, number)| (name.as_str(), *number)).collect();
        assert_eq!(theirs, ours);
    }

    /// The bits of `wanted` and of the abilities are those of the properties.
    #[test]
    fn properties_stand_at_their_numbers() {
        for (index, property) in PROPERTIES.into_iter().enumerate() {
            assert_eq!(property as usize, index);
        }
        let bit = |property: Property| 1 << property as u32;
        assert_eq!(Abilities::AUTHCID.0, bit(Property::Authcid));
        assert_eq!(Abilities::AUTHZID.0, bit(Property::Authzid));
        assert_eq!(Abilities::PASSWORD.0, bit(Property::Password));
        assert_eq!(Abilities::TOKEN.0, bit(Property::Token));
        assert_eq!(Abilities::HT_TOKEN.0, bit(Property::HtToken));
    }
}
