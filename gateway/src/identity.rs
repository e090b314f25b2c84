//! Identities from client certificates, for EXTERNAL.

use authen_sasl_rust::crypto::hash;
use authen_sasl_rust::wire::saslprep;
use serde::Deserialize;
use x509_cert::crl::CertificateList;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::Certificate;

/// id-at-commonName (RFC 5280, appendix A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Which name of a client's certificate is the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientName {
    /// The subject's common name.
    #[default]
    CommonName,
    /// The rfc822Name of the subject alternative names.
    Email,
    /// The dNSName of the subject alternative names.
    Dns,
    /// The uniformResourceIdentifier of the subject alternative names.
    Uri,
}

/// What a revocation list knows of a certificate: its issuer and serial number (RFC 5280 §5.1), hashed, because a session keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CertificateId([u8; 32]);

impl CertificateId {
    fn new(issuer: &Name, serial: &SerialNumber) -> Option<Self> {
        let text = [issuer.to_der().ok()?, serial.to_der().ok()?].concat();
        (*hash::Hash::Sha256.digest(&text)).try_into().ok().map(CertificateId)
    }

    pub fn of(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let body = certificate.tbs_certificate();
        CertificateId::new(body.issuer(), body.serial_number())
    }
}

/// The certificates that a revocation list names.
pub fn revoked(der: &[u8]) -> Result<Vec<CertificateId>, String> {
    let list = CertificateList::from_der(der).map_err(|error| error.to_string())?;
    let revoked = list.tbs_cert_list.revoked_certificates.iter().flatten();
    Ok(revoked.filter_map(|one| CertificateId::new(&list.tbs_cert_list.issuer, &one.serial_number)).collect())
}

/// The user of a certificate whose chain was verified. There is none if the certificate has several names of that kind, or
/// none, or if SASLprep would change the name: for the CA, a prepared name belongs to someone else.
pub fn of_certificate(der: &[u8], which: ClientName) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let mut names = names(&certificate, which)?.into_iter();
    let name = names.next().filter(|name| saslprep::query(name).is_ok_and(|prepared| prepared == name.as_str()))?;
    names.next().is_none().then_some(name)
}

fn names(certificate: &Certificate, which: ClientName) -> Option<Vec<String>> {
    let body = certificate.tbs_certificate();
    if which == ClientName::CommonName {
        let all = body.subject().iter().filter(|attribute| attribute.oid == COMMON_NAME);
        let text = |value| DirectoryString::try_from(value).ok().map(|text| text.value().into_owned());
        return all.map(|attribute| text(&attribute.value)).collect();
    }
    let (_, SubjectAltName(all)) = body.get_extension().ok()??;
    let text = |name: GeneralName| match (which, name) {
        (ClientName::Email, GeneralName::Rfc822Name(name))
        | (ClientName::Dns, GeneralName::DnsName(name))
        | (ClientName::Uri, GeneralName::UniformResourceIdentifier(name)) => Some(name.to_string()),
        _ => None,
    };
    Some(all.into_iter().filter_map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=fred/CN=… -addext subjectAltName=…`.
    const ONE_NAME: &[u8] = include_bytes!("../tests/one-name.der");
    const TWO_NAMES: &[u8] = include_bytes!("../tests/two-names.der");
    const JOINED_NAMES: &[u8] = include_bytes!("../tests/joined-names.der");

    #[test]
    fn a_certificate_with_one_name_of_the_kind_has_a_user() {
        for (which, name) in [
            (ClientName::CommonName, Some("fred")),
            (ClientName::Email, Some("fred@example.org")),
            (ClientName::Dns, Some("fred.example.org")),
            (ClientName::Uri, None),
        ] {
            assert_eq!(of_certificate(ONE_NAME, which).as_deref(), name, "{which:?}");
            assert_eq!(of_certificate(TWO_NAMES, which), None, "{which:?}");
        }
    }

    /// The same certificate with another common name of the same length; the chain is not verified here.
    fn with_name(name: &str) -> Vec<u8> {
        let mut der = ONE_NAME.to_vec();
        for at in 0..der.len() {
            if der[at..].starts_with(b"\x0c\x04fred") {
                der[at + 2..at + 6].copy_from_slice(name.as_bytes());
            }
        }
        der
    }

    #[test]
    fn names_that_saslprep_changes_have_no_user() {
        assert_eq!(of_certificate(&with_name("anna"), ClientName::CommonName).as_deref(), Some("anna"));
        assert_eq!(
            of_certificate(&with_name("*.de"), ClientName::CommonName).as_deref(),
            Some("*.de"),
            "not a pattern"
        );
        // SASLprep changes the last three: a soft hyphen, a decomposed umlaut, a wide letter.
        for name in ["fre\0", "\0\0\0\0", "fr\ne", "fr\x1be", "fr\u{ad}", "jo\u{308}", "\u{ff46}r"] {
            let der = with_name(name);
            assert!(Certificate::from_der(&der).is_ok());
            assert_eq!(of_certificate(&der, ClientName::CommonName), None, "{name:?}");
        }
    }

    /// `-multivalue-rdn -subj /CN=fred+CN=anna`.
    #[test]
    fn two_names_in_one_rdn_are_two() {
        assert_eq!(of_certificate(JOINED_NAMES, ClientName::CommonName), None);
    }

    #[test]
    fn damaged_certificates_have_no_user() {
        for end in 0..ONE_NAME.len() {
            assert_eq!(of_certificate(&ONE_NAME[..end], ClientName::CommonName), None);
        }
    }
}
