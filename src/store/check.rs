//! Compares a password with a stored secret, and checks that a mechanism can use a stored secret.

use std::hint::black_box;

use crate::config::{Config, MAX_ITERATIONS};
use crate::contract::{CredentialKind, Lookups};
use crate::crypto::hash::Hash;
use crate::error::{Application, Error, Refused, Subject};
use crate::secret::{ct_eq, Secret};
use crate::wire::saslprep;

use super::mock::{imitated, mock_credential, mock_verifier, MOCK_PASSWORD};
use super::tokens;
use super::verifier::{beginning, wrong, Verifier};

/// Checks that a mechanism that needs this kind of credential can use the stored secret of a user.
///
/// # Errors
/// The reason why not. Only the operator may see it; the peer is answered as for an unknown user.
pub fn fits(stored: &[u8], kind: CredentialKind) -> Result<(), Error> {
    match kind {
        CredentialKind::HtTokens(_) => return tokens::fits(stored),
        #[cfg(feature = "otp")]
        CredentialKind::Otp => return super::otp::fits(stored),
        _ => {}
    }
    match (Verifier::parse(stored)?, kind) {
        (Some(verifier), CredentialKind::Scram(hash)) if verifier.hash != hash => {
            Err(wrong("a verifier with another hash than the mechanism's"))
        }
        (None, CredentialKind::Scram(_)) => prepared_password(stored).map(drop),
        (None, _) | (Some(_), CredentialKind::Scram(_) | CredentialKind::Comparable) => Ok(()),
        (Some(_), _) => Err(wrong("a SCRAM verifier, and this mechanism needs the password itself")),
    }
}

/// Does the same work for an unknown user.
///
/// # Errors
/// As [`fits`].
pub fn fits_unknown(kind: CredentialKind, lookups: &dyn Lookups) -> Result<(), Error> {
    fits(mock_credential(kind.hash(), lookups), kind)
}

/// The password, prepared for SCRAM's key derivation.
///
/// # Errors
/// [`Application::Unusable`] if SASLprep refuses it.
pub fn prepared_password(password: &[u8]) -> Result<Secret, Error> {
    let unusable = |reason| Error::from(Application::Unusable { what: Subject::StoredSecret, reason });
    let text = std::str::from_utf8(password).map_err(|_| unusable("is not valid UTF-8"))?;
    Ok(saslprep::query(text).map_err(|refused| unusable(refused.reason()))?.into())
}

/// Compares `password`, as received, with the stored secret; `None` means an unknown user. If users may have verifiers, a
/// plain password and an unknown user take a key derivation too: of `iterations`, or as many as the verifiers seen have.
///
/// # Errors
/// [`Refused::Unusable`] if `stored` begins like a verifier but is malformed, or has more than [`MAX_ITERATIONS`] iterations: after the
/// same work as for an unknown user.
pub fn check_password(
    stored: Option<Secret>,
    password: &Secret,
    iterations: impl Into<Option<u32>>,
    lookups: &dyn Lookups,
) -> Result<bool, Error> {
    compare(stored, password, iterations.into(), MAX_ITERATIONS, lookups)
}

/// Where users store their own verifiers, as in a directory, one of them could keep the server busy for minutes. So a verifier of more
/// than `most` iterations cannot be used.
fn compare(
    stored: Option<Secret>,
    password: &Secret,
    iterations: Option<u32>,
    most: u32,
    lookups: &dyn Lookups,
) -> Result<bool, Error> {
    let mut usual = imitated(None, lookups);
    usual.iterations = iterations.unwrap_or(usual.iterations);
    // An empty password never matches. The mock credential of an unknown user is read in the same way as a real one.
    let stored = stored.filter(|stored| !stored.is_empty());
    let mut known = stored.is_some();
    let stored = stored.unwrap_or_else(|| Secret::new(mock_credential(Some(usual.hash), lookups)));
    let (verifier, fault) = match Verifier::read(&stored) {
        Ok(Some(verifier)) if known && verifier.iterations > most => (None, Some(wrong(TOO_COSTLY))),
        Ok(verifier) => (verifier, None),
        Err(fault) => (None, Some(fault)),
    };
    let verifier =
        if known { verifier } else { verifier.map(|mock| Verifier { iterations: usual.iterations, ..mock }) };
    known &= fault.is_none();
    let derives = lookups.expects_verifiers();
    if known {
        lookups.record_kind(verifier.is_some());
        if let Some(verifier) = &verifier {
            lookups.record_strength(verifier.strength());
        }
    }
    let theirs = prepared(password);
    let key_input = theirs.as_ref().unwrap_or(password).expose();
    let same = match verifier {
        Some(verifier) => verifier.is_of(key_input) & theirs.is_some(),
        None => {
            if derives {
                let mock = Verifier { iterations: usual.iterations, ..mock_verifier(usual.hash)? };
                black_box(mock.is_of(key_input));
            }
            match (prepared(&stored), &theirs) {
                (Some(ours), Some(theirs)) => same(&ours, theirs),
                _ => same(&stored, password),
            }
        }
    };
    fault.map_or(Ok(same & known), |fault| Err(Refused::Unusable(Box::new(fault)).into()))
}

const TOO_COSTLY: &str = "a verifier with more iterations than are allowed (property max_iterations)";

/// The same for the answer of accounts, which may already know that the user's secret is unusable. The configuration has the iterations
/// and their limit.
///
/// # Errors
/// As [`check_password`], and those of the accounts.
pub fn check_answer(
    stored: Result<Option<Secret>, Error>,
    password: &Secret,
    config: &Config,
    lookups: &dyn Lookups,
) -> Result<bool, Error> {
    let (stored, fault) = match stored {
        Err(fault @ Error::Refused(Refused::Unusable(_))) => (None, Some(fault)),
        stored => (stored?, None),
    };
    let same = compare(stored, password, config.iterations, config.max_iterations, lookups)?;
    fault.map_or(Ok(same), Err)
}

/// Compares digests: the time of a comparison depends on the lengths, and the length of a stored password must not leak.
fn same(a: &Secret, b: &Secret) -> bool {
    ct_eq(&Hash::Sha256.digest(a.expose()), &Hash::Sha256.digest(b.expose()))
}

/// The password after SASLprep; `None` if SASLprep refuses it.
fn prepared(password: &Secret) -> Option<Secret> {
    saslprep::query(password.expose_str()?).ok().map(Secret::from)
}

/// For mechanisms that need the password itself: the password of a user, and true. For an unknown user, or one without a
/// password: [`MOCK_PASSWORD`], with which the mechanism does the same work, and false.
pub fn password_or_mock(stored: Option<Secret>, lookups: &dyn Lookups) -> (Secret, bool) {
    let stored = stored.filter(|stored| !stored.is_empty());
    let known = stored.is_some();
    let stored = stored.unwrap_or_else(|| Secret::new(MOCK_PASSWORD));
    // A text that begins like a verifier is never a password. The session has already recorded this fault.
    if beginning(stored.expose()).is_some() {
        return (Secret::new(MOCK_PASSWORD), false);
    }
    if known {
        lookups.record_kind(false);
    }
    (stored, known)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::crypto::pbkdf2::iterations_of;
    use crate::store::verifier::tests::RFC_7677;
    use crate::world::LookupMemory;

    pub fn check(stored: Option<&str>, password: &str, lookups: &LookupMemory) -> Result<bool, Error> {
        let stored = stored.map(|text| Secret::new(text.as_bytes()));
        check_password(stored, &Secret::new(password.as_bytes()), 4096, lookups)
    }

    #[test]
    fn a_password_is_checked_against_either_kind() {
        let lookups = LookupMemory::new();
        assert_eq!(check(Some(RFC_7677), "pencil", &lookups), Ok(true));
        assert!(lookups.expects_verifiers() && !lookups.expects_passwords());
        assert_eq!(check(Some(RFC_7677), "pen\u{ad}cil", &lookups), Ok(true));
        for wrong in ["Pencil", "", RFC_7677, "\u{7}"] {
            assert_eq!(check(Some(RFC_7677), wrong, &lookups), Ok(false), "{wrong}");
        }
        assert_eq!(check(None, "pencil", &lookups), Ok(false));
        assert_eq!(check(Some("pencil"), "pencil", &lookups), Ok(true));
        assert!(lookups.expects_verifiers() && lookups.expects_passwords());
        assert_eq!(check(Some("pencil"), "pencils", &lookups), Ok(false));
        assert_eq!(check(Some("pencil"), "pen\u{ad}cil", &lookups), Ok(true));
        assert_eq!(check(Some(""), "", &lookups), Ok(false));
        assert_eq!(check(None, "", &lookups), Ok(false));
    }

    #[test]
    fn every_user_costs_what_any_user_before_has_cost() {
        let other = RFC_7677.replace("$4096:", "$5000:");
        for (seen, costs) in [
            // No credential was seen yet, as in a process that serves one connection: each login costs a key derivation.
            (&[][..], [4096, 4096, 4096]),
            (&[false], [0, 4096, 0]),
            (&[true], [4096, 4096, 4096]),
            (&[true, false], [4096, 4096, 4096]),
        ] {
            let secrets = [None, Some(RFC_7677), Some("pencil")];
            for (secret, expected) in secrets.into_iter().zip(costs) {
                let lookups = LookupMemory::new();
                seen.iter().for_each(|verifier| lookups.record_kind(*verifier));
                let cost = iterations_of(|| assert_eq!(check(secret, "wrong", &lookups), Ok(false)));
                assert_eq!(cost, expected, "{secret:?} {seen:?}");
            }
            // A malformed verifier costs as much as an unknown user.
            let lookups = LookupMemory::new();
            seen.iter().for_each(|verifier| lookups.record_kind(*verifier));
            let cost = iterations_of(|| assert!(check(Some("SCRAM-SHA-1$"), "wrong", &lookups).is_err()));
            assert_eq!(cost, costs[0]);
        }
        // A verifier has its own iteration count.
        assert_eq!(iterations_of(|| assert_eq!(check(Some(&other), "wrong", &LookupMemory::new()), Ok(false))), 5000);
    }

    #[test]
    fn a_verifier_is_never_a_password() {
        for key in [
            "SCRAM-SHA-256$4096:c2FsdA==$a:b",
            "SCRAM-SHA-1$",
            "SCRAM-SHA-1-PLUS$",
            "{SCRAM-SHA-256}4096,c2FsdA==,a,b",
            "{SCRAM-",
            " scram-sha-1$",
        ] {
            let (password, known) = password_or_mock(Some(Secret::new(key.as_bytes())), &LookupMemory::new());
            assert!(!known && password.ct_eq(MOCK_PASSWORD), "{key}");
        }
        for password in ["", "SCRAM-SHA-256", "SCRAM-bled eggs$", "$SCRAM-SHA-1$", "{SCRAM"] {
            let (read, known) = password_or_mock(Some(Secret::new(password.as_bytes())), &LookupMemory::new());
            assert!(known != password.is_empty(), "{password}");
            assert!(read.ct_eq(if known { password.as_bytes() } else { MOCK_PASSWORD }), "{password}");
        }
        assert!(!password_or_mock(None, &LookupMemory::new()).1);
    }

    #[test]
    fn a_mock_credential_is_no_way_in() {
        for verifiers in [false, true] {
            let lookups = LookupMemory::new();
            lookups.record_kind(verifiers);
            assert_eq!(check(None, "nobody's one", &lookups), Ok(false));
        }
    }

    #[test]
    fn a_mechanism_that_computes_with_a_secret_needs_one_of_its_kind() {
        let sha_256 = CredentialKind::Scram(Hash::Sha256);
        let sha_1 = CredentialKind::Scram(Hash::Sha1);
        for (stored, kind, expected) in [
            (RFC_7677, sha_256, true),
            (RFC_7677, sha_1, false),
            (RFC_7677, CredentialKind::Password, false),
            (RFC_7677, CredentialKind::Comparable, true),
            ("pencil", sha_1, true),
            ("pencil", CredentialKind::Password, true),
            ("\u{7}", sha_1, false),
            ("SCRAM-SHA-1$", sha_1, false),
            ("SCRAM-SHA-1$", CredentialKind::Comparable, false),
        ] {
            assert_eq!(fits(stored.as_bytes(), kind).is_ok(), expected, "{stored} {kind:?}");
        }
    }
}
