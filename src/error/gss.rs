//! Failures of the GSS-API library, with hints for the user.

use std::fmt;

use super::code::Code;
use super::side::Side;

/// Routine errors of RFC 2744 §3.9.1, in the upper half of the major status.
const BAD_BINDINGS: u32 = 4;
const BAD_SIG: u32 = 6;
const NO_CRED: u32 = 7;
const DEFECTIVE_TOKEN: u32 = 9;
const DEFECTIVE_CREDENTIAL: u32 = 10;
const CREDENTIALS_EXPIRED: u32 = 11;
const CONTEXT_EXPIRED: u32 = 12;
/// Supplementary bits: a repeated, old, unsequenced or missing token.
const OUT_OF_ORDER: u32 = 0b1_1110;

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GssFailure {
    /// The side that made it.
    pub side: Side,
    /// What the call does, in words.
    pub doing: &'static str,
    /// A client asked the KDC for a ticket with a password.
    pub by_password: bool,
    /// The service or principal that it was about; may be empty.
    pub about: String,
    /// The major status.
    pub major: u32,
    /// The minor status, as the mechanism counts.
    pub minor: u32,
    /// Both of them, in the library's words.
    pub text: String,
}

/// Error codes of Kerberos (RFC 4120 §7.5.9, and MIT's, relative to the base -1765328384); a part of their text, by which
/// they are recognized if SPNEGO has changed the number; and a hint.
const HINTS: &[(i32, &str, &str)] = &[
    (230, "keytab is likely out of date", "the keytab has another version of the service's key: export the keytab again, and run kinit again on the client"),
    (6, "Client '", "the KDC does not know the client: check the principal's spelling and realm"),
    (7, "not found in Kerberos database", "the KDC does not know the service: check the host name, which must be the one of the service principal, and its realm"),
    (31, "Decrypt integrity check failed", "the key in the keytab is no longer the service's key: export the keytab again"),
    (32, "Ticket expired", "the ticket has expired: run kinit"),
    (33, "Ticket not yet valid", "the ticket is not valid yet: set the clocks right, on this machine and on the KDC"),
    (34, "Request is a replay", "the token was used before: begin a new exchange"),
    (35, "not found in keytab", "the ticket is for another service: check the host name and the keytab's principals (klist -k)"),
    (37, "Clock skew too great", "the clocks of client, server and KDC differ too much: set them right, by NTP for instance"),
    (41, "Message stream modified", "the token was changed on the way"),
    (44, "Key version is not available", "the keytab has another version of the service's key: export the keytab again, and run kinit again on the client"),
    (45, "Service key not available", "the keytab has no key for that service: check its principals (klist -k)"),
    (141, "Matching credential not found", "there is no ticket: run kinit, or name the credentials cache (property ccache, variable KRB5CCNAME)"),
    (144, "Wrong principal in request", "the ticket is for another principal than the keytab: check its principals (klist -k)"),
    (154, "Cannot find KDC for realm", "the realm is unknown: check its spelling (most realms are in capitals) and krb5.conf"),
    (156, "Cannot contact any KDC", "no KDC of the realm answers: check krb5.conf and the network"),
    (181, "No key table entry", "the keytab has no key for that service: check its principals (klist -k) and who may read it (property keytab, variable KRB5_KTNAME)"),
    (195, "No credentials cache", "there is no ticket: run kinit, or name the credentials cache (property ccache, variable KRB5CCNAME)"),
    (220, "Cannot resolve network address for KDC", "the name of the realm's KDC cannot be resolved: check krb5.conf"),
    (224, "does not specify default realm", "give the name with its realm, or set default_realm in krb5.conf"),
];

/// The same where a password is the reason, with the code that it means.
const BY_PASSWORD: &[(i32, &str, &str, Code)] = &[
    (1, "entry in database has expired", "the account has expired", Code::Disabled),
    // Active Directory's answer for each of these; MIT's KDC has an error of its own for an expired account.
    (
        18,
        "have been revoked",
        "the account is disabled, locked or expired, or may not log in at this time",
        Code::Disabled,
    ),
    (23, "Password has expired", "the password has expired, or must be changed: run kpasswd", Code::Expired),
    (24, "Preauthentication failed", "the password is wrong", Code::BadAuth),
    // The answer of a KDC that asks for no preauthentication.
    (31, "Decrypt integrity check failed", "the password is wrong", Code::BadAuth),
];
/// Where the KDC said nothing about the client.
const UNREACHABLE: [i32; 2] = [156, 220];
const UNKNOWN_CLIENT: i32 = 6;
const KRB5_BASE: i32 = -1_765_328_384;

impl GssFailure {
    fn routine(&self) -> u32 {
        (self.major >> 16) & 0xff
    }

    /// The row of a table that is about this failure.
    fn row<T>(&self, table: &'static [T], key: fn(&T) -> (i32, &'static str)) -> Option<&'static T> {
        let at = (self.minor as i32).wrapping_sub(KRB5_BASE);
        table.iter().find(|row| key(row).0 == at).or_else(|| table.iter().find(|row| self.text.contains(key(row).1)))
    }

    fn of_password(&self) -> Option<&'static (i32, &'static str, &'static str, Code)> {
        self.row(BY_PASSWORD, |row| (row.0, row.1)).filter(|_| self.by_password)
    }

    fn known(&self) -> Option<&'static (i32, &'static str, &'static str)> {
        self.row(HINTS, |row| (row.0, row.1))
    }

    /// A hint for the user; empty if there is none.
    pub fn hint(&self) -> &'static str {
        if let Some((_, _, hint, _)) = self.of_password() {
            return hint;
        }
        if let Some((_, _, hint)) = self.known() {
            return hint;
        }
        match (self.routine(), self.side) {
            _ if self.by_password => "",
            (NO_CRED, Side::Client) => {
                "there is no ticket: run kinit, or name the credentials cache (property ccache, variable KRB5CCNAME)"
            }
            (NO_CRED | DEFECTIVE_CREDENTIAL, Side::Server) => {
                "check the keytab's principals (klist -k) and who may read it (property keytab, variable KRB5_KTNAME)"
            }
            (CREDENTIALS_EXPIRED | CONTEXT_EXPIRED, _) => "the ticket has expired: run kinit",
            (BAD_BINDINGS, _) => "the channel binding does not match: a man in the middle, or another TLS connection",
            (BAD_SIG, _) => "it was changed on the way",
            _ => "",
        }
    }

    /// The code that a C program would see.
    pub fn code(&self) -> Code {
        if self.by_password {
            return match (self.of_password(), self.known()) {
                (Some((.., code)), _) => *code,
                (None, Some((UNKNOWN_CLIENT, ..))) => Code::BadAuth,
                (None, Some((number, ..))) if UNREACHABLE.contains(number) => Code::Unavail,
                _ => Code::Fail,
            };
        }
        match self.routine() {
            BAD_BINDINGS => Code::BadBinding,
            BAD_SIG => Code::BadMac,
            DEFECTIVE_TOKEN => Code::BadProt,
            0 if self.major & OUT_OF_ORDER != 0 => Code::BadProt,
            _ if self.side == Side::Server => Code::BadAuth,
            NO_CRED | CREDENTIALS_EXPIRED => Code::BadAuth,
            _ => Code::Fail,
        }
    }
}

impl fmt::Display for GssFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.doing)?;
        if !self.about.is_empty() {
            write!(f, " {}", self.about)?;
        }
        write!(f, ": {}", self.text)?;
        match self.hint() {
            "" => Ok(()),
            hint => write!(f, "; {hint}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(side: Side, routine: u32, code: i32) -> GssFailure {
        let minor = (KRB5_BASE + code) as u32;
        let (doing, about, text) = ("d", "a".into(), "t".into());
        GssFailure { side, doing, by_password: false, about, major: routine << 16, minor, text }
    }

    #[test]
    fn a_password_has_its_own_reasons() {
        let refused = |code, text: &str| GssFailure {
            by_password: true,
            text: text.into(),
            ..failure(Side::Client, NO_CRED, code)
        };
        for (code, text, advice, number) in [
            (1, "Client's entry in database has expired", "account has expired", Code::Disabled),
            (6, "Client 'fred@R' not found in Kerberos database", "does not know the client", Code::BadAuth),
            (18, "Client's credentials have been revoked", "disabled, locked or expired", Code::Disabled),
            (23, "Password has expired", "kpasswd", Code::Expired),
            (24, "Preauthentication failed", "password is wrong", Code::BadAuth),
            (31, "Decrypt integrity check failed", "password is wrong", Code::BadAuth),
            (37, "Clock skew too great", "NTP", Code::Fail),
            (154, "Cannot find KDC for realm \"R\"", "capitals", Code::Fail),
            (156, "Cannot contact any KDC for realm 'R'", "no KDC", Code::Unavail),
            (224, "Configuration file does not specify default realm", "with its realm", Code::Fail),
            (9999, "of another kind", "", Code::Fail),
        ] {
            // SPNEGO changes the numbers of Kerberos's errors.
            for failure in [refused(code, text), GssFailure { minor: 100_006, ..refused(code, text) }] {
                assert!(failure.hint().contains(advice), "{failure}");
                assert_eq!(failure.code(), number, "{failure}");
                assert!(!failure.to_string().contains("kinit"), "{failure}");
            }
        }
        let keytab = failure(Side::Server, 13, 31);
        assert!(keytab.hint().contains("keytab"), "{keytab}");
    }

    #[test]
    fn each_cause_has_its_advice() {
        for (side, routine, code, advice, number) in [
            (Side::Client, NO_CRED, 195, "run kinit", Code::BadAuth),
            (Side::Client, NO_CRED, 9999, "run kinit", Code::BadAuth),
            (Side::Client, 13, 7, "host name", Code::Fail),
            (Side::Client, 13, 37, "NTP", Code::Fail),
            (Side::Client, CREDENTIALS_EXPIRED, 32, "kinit", Code::BadAuth),
            (Side::Client, CREDENTIALS_EXPIRED, 9999, "kinit", Code::BadAuth),
            (Side::Client, 13, 156, "no KDC", Code::Fail),
            (Side::Server, NO_CRED, 9999, "keytab", Code::BadAuth),
            (Side::Server, 13, 44, "version", Code::BadAuth),
            (Side::Server, 13, 31, "keytab", Code::BadAuth),
            (Side::Server, BAD_BINDINGS, 9999, "channel binding", Code::BadBinding),
            (Side::Server, BAD_SIG, 9999, "changed on the way", Code::BadMac),
            (Side::Server, DEFECTIVE_TOKEN, 9999, "", Code::BadProt),
        ] {
            let failure = failure(side, routine, code);
            assert!(failure.hint().contains(advice), "{code}: {}", failure.hint());
            assert_eq!(failure.code(), number, "{code}");
            assert!(failure.to_string().starts_with("d a: t"), "{failure}");
        }
        let renumbered =
            GssFailure { minor: 100_005, text: "Request is a replay".into(), ..failure(Side::Server, 13, 0) };
        assert!(renumbered.hint().contains("used before"), "{renumbered}");
        let replayed = GssFailure { major: 2, ..failure(Side::Server, 0, 9999) };
        assert_eq!(replayed.code(), Code::BadProt);
    }
}
