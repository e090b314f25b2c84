//! Identities that were proved below SASL, for EXTERNAL.

use serde::Deserialize;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};
use x509_cert::ext::pkix::SubjectAltName;
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
    /// rfc822Name of the alternative names.
    Email,
    /// dNSName of these.
    Dns,
    /// uniformResourceIdentifier of these.
    Uri,
}

/// The user of a certificate whose chain was verified. A certificate with several such names, or none, is nobody's.
pub fn of_certificate(der: &[u8], which: ClientName) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let mut names = names(&certificate, which)?.into_iter();
    let name = names.next().filter(|name| !name.is_empty() && !name.chars().any(char::is_control))?;
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

    #[test]
    fn damaged_certificates_are_nobodys() {
        for end in 0..ONE_NAME.len() {
            assert_eq!(of_certificate(&ONE_NAME[..end], ClientName::CommonName), None);
        }
    }
}
