//! Perl's names for the subjects of errors: callbacks, properties and methods, as in the manual.

use authen_sasl_rust::error::{Name, Subject};

/// The [`authen_sasl_rust::error::Names`] of a connection.
pub(super) fn of_connection(subject: Subject) -> Option<Name> {
    let (kind, names): (_, &[&str]) = match subject {
        Subject::Authcid => ("callback", &["user", "authcid"]),
        Subject::Authzid => ("callback", &["authname", "authzid"]),
        Subject::Password => ("callback", &["pass"]),
        Subject::Realm => ("callback", &["realm"]),
        Subject::Token => ("callback", &["token"]),
        Subject::HtToken => ("callback", &["ht_token"]),
        Subject::ScramKeys => ("callback", &["scram_keys"]),
        Subject::KeepKeys => ("callback", &["keep_scram_keys"]),
        Subject::VerifierStore => ("callback", &["setverifier"]),
        Subject::OtpState => ("callback", &["otp_state and otp_replace"]),
        Subject::HtTokens => ("callback", &["ht_tokens"]),
        Subject::Host => ("callback", &["host"]),
        Subject::Port => ("callback", &["port"]),
        Subject::ServName => ("callback", &["serv"]),
        Subject::Identity => ("callback", &["authzid", "user", "authname"]),
        Subject::Trace => ("callback", &["authname"]),
        Subject::ChallengeAnswer => ("callback", &["challenge"]),
        Subject::PasswordCheck => ("callback", &["checkpass"]),
        Subject::StoredSecret => ("callback", &["getsecret", "accounts"]),
        Subject::TokenCheck | Subject::TokenIdentity => ("callback", &["checktoken"]),
        Subject::Authorization => ("callback", &["authorize"]),
        Subject::CanonicalName => ("callback", &["canonuser"]),
        Subject::ExternalIdentity => ("property", &["external_id"]),
        Subject::ClientCertificate => ("property", &["tls"]),
        Subject::ChannelBinding => ("property", &["tls", "channel_binding"]),
        Subject::ServerRealm => ("property", &["realm", "the host"]),
        Subject::ServerHost => ("the second argument of", &["client_new"]),
        Subject::MessageLimit => ("property", &["maxout"]),
        Subject::Answer => ("the answer of", &["a callback"]),
        Subject::Start => ("", &["server_start"]),
        Subject::Step => ("", &["server_step"]),
        _ => return None,
    };
    Some(Name { kind, names })
}

#[cfg(test)]
mod tests {
    use super::*;
    use authen_sasl_rust::error::{Application, Error, Failure, Misuse, Refused, Rejected, Rejection, Side};

    fn text(error: impl Into<Error>) -> String {
        let failure = Failure { side: Side::Client, mechanism: Some("PLAIN"), error: error.into() };
        failure.named(of_connection).to_string()
    }

    #[test]
    fn each_value_of_a_client_has_a_callback() {
        for property in crate::numbers::PROPERTIES {
            assert!(of_connection(property.into()).is_some_and(|name| name.kind == "callback"), "{property:?}");
        }
    }

    #[test]
    fn texts_name_callbacks_properties_and_methods() {
        let rejected =
            |reason| authen_sasl_rust::error::Policy::NoMechanism([Rejected { mechanism: "X".into(), reason }].into());
        let any = |subjects: &[Subject]| rejected(Rejection::MissingAny(subjects.into()));
        let unusable = Application::Verifier("a malformed verifier");
        for (error, expected) in [
            (Application::Empty(Subject::Password).into(), "the password (callback pass) is empty"),
            (Application::Missing(Subject::Identity).into(), "no identity (callback authzid, user or authname)"),
            (unusable.clone().into(), "the stored secret (callback getsecret or accounts) is a malformed verifier"),
            (
                Refused::Unusable(Box::new(unusable.into())).into(),
                "authentication failed: the stored secret (callback getsecret or accounts) is a malformed verifier \
                (the client is answered as for a wrong password)",
            ),
            (
                Refused::Authorization { authcid: "a".into(), authzid: "b".into() }.into(),
                "'a' may not act as 'b' (the authorize callback decides)",
            ),
            (Refused::NoExternalIdentity.into(), "no identity was established outside SASL (property external_id)"),
            (Error::Misuse(Misuse::Busy), "the connection still waits for the answer of a callback"),
            (Error::Misuse(Misuse::NotStarted), "server_step was called before server_start"),
            (Error::Misuse(Misuse::MessageTooLong), "the message is longer than one frame may be (property maxout)"),
            (
                rejected(Rejection::MissingAll([Subject::Authcid, Subject::Password].into())).into(),
                "no mechanism is usable: X: there is no callback user, no callback pass",
            ),
            (
                any(&[Subject::PasswordCheck, Subject::StoredSecret]).into(),
                "no mechanism is usable: X: there is no callback checkpass or getsecret",
            ),
            (
                rejected(Rejection::NoAuthzid).into(),
                "no mechanism is usable: X: it cannot ask to act as another user (callback authname differs from user)",
            ),
            (
                rejected(Rejection::NoBindingData).into(),
                "no mechanism is usable: X: there is no channel binding data (property tls or channel_binding)",
            ),
            (
                rejected(Rejection::NoHost).into(),
                "no mechanism is usable: X: the server's host name (the second argument of client_new) is not known",
            ),
        ] {
            let whole = text(error);
            assert!(whole.starts_with(&format!("PLAIN client: {expected} (SASL_")), "{whole}");
        }
    }
}
