//! TLS, and the properties of it that SASL needs.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use authen_sasl_rust::config::ChannelBinding;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{
    ClientConfig, ConnectionCommon, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use x509_cert::der::Decode;
use x509_cert::Certificate;

use crate::files::{self, named, Readers};
use crate::identity::{self, of_certificate, CertificateId, ClientName};
use crate::settings;

/// Reads a certificate with its chain and its key, both PEM, and the CAs of client certificates if there are any.
pub fn acceptor(certificate: &Path, key: &Path, settings: &settings::Tls) -> Result<TlsAcceptor, String> {
    let secret = secret_key(key)?;
    let builder = match &settings.client_ca {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(path) => {
            let revoked = settings.client_revoked.as_deref().map_or(Ok(Vec::new()), pem)?;
            // A client without a certificate may log in by another mechanism than EXTERNAL.
            let verifier = WebPkiClientVerifier::builder(Arc::new(authorities(path)?))
                // With any revocation list, a certificate that no list covers is refused: its list may be missing by mistake.
                .with_crls(revoked)
                .allow_unauthenticated()
                .build()
                .map_err(|error| named(path, error))?;
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(pem(certificate)?, secret).map_err(|error| named(certificate, error))?;
    if settings.client_ca.is_some() {
        // A resumed session keeps the certificate of the first one without verifying it again: an expired certificate could log in,
        // and renew its ticket, without end.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Connects to backends with certificates from `ca`, and shows them the gateway's own certificate if there is one.
pub fn connector(ca: &Path, settings: &settings::BackendTls) -> Result<TlsConnector, String> {
    client(ca, settings.certificate.as_deref(), settings.key.as_deref()).map(TlsConnector::from)
}

/// The client side of connections to servers with certificates from `ca`, with a certificate of its own if there is one.
pub fn client(ca: &Path, certificate: Option<&Path>, key: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder().with_root_certificates(authorities(ca)?);
    let mut config = match (certificate, key) {
        (Some(certificate), Some(key)) => builder
            .with_client_auth_cert(pem(certificate)?, secret_key(key)?)
            .map_err(|error| named(certificate, error))?,
        _ => builder.with_no_client_auth(),
    };
    // As above: the server's certificate is verified for each connection.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn secret_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = files::read(path, Readers::Owner)?;
    let has = |mark: &[u8]| text.expose().windows(mark.len()).any(|part| part == mark);
    if has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED") {
        return Err(named(path, "the key is encrypted; decrypt it with openssl pkey"));
    }
    PrivateKeyDer::from_pem_slice(text.expose()).map_err(|error| named(path, error))
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in pem(path)? {
        store.add(certificate).map_err(|error| named(path, error))?;
    }
    Ok(store)
}

/// All PEM sections of this kind in a file, at least one.
fn pem<T: PemObject>(path: &Path) -> Result<Vec<T>, String> {
    let text = files::read(path, Readers::Any)?;
    let all = T::pem_slice_iter(text.expose()).collect::<Result<Vec<T>, _>>().map_err(|error| named(path, error))?;
    match all.is_empty() {
        true => Err(named(path, "no PEM section of the expected kind")),
        false => Ok(all),
    }
}

/// The certificates of a chain that are expired or not valid yet, which clients will reject.
pub fn warnings(path: &Path, now: SystemTime) -> Result<Vec<String>, String> {
    let chain: Vec<CertificateDer<'_>> = pem(path)?;
    Ok(chain.iter().filter_map(|der| invalidity(der, now)).map(|what| named(path, what)).collect())
}

/// When the first certificate of a file expires, in seconds since 1970.
pub fn expiry(path: &Path) -> Option<u64> {
    let all: Vec<CertificateDer<'_>> = pem(path).ok()?;
    let read = all.iter().filter_map(|der| Certificate::from_der(der).ok());
    read.map(|one| one.tbs_certificate().validity().not_after.to_unix_duration().as_secs()).min()
}

fn invalidity(der: &[u8], now: SystemTime) -> Option<String> {
    // A malformed certificate was refused before.
    let certificate = Certificate::from_der(der).ok()?;
    let (body, validity) = (certificate.tbs_certificate(), certificate.tbs_certificate().validity());
    let (begin, end) = (validity.not_before, validity.not_after);
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    if now > end.to_unix_duration() {
        return Some(format!("the certificate of {} has expired ({})", body.subject(), end.to_date_time()));
    }
    let early = now < begin.to_unix_duration();
    early.then(|| format!("the certificate of {} is not valid yet ({})", body.subject(), begin.to_date_time()))
}

/// The user that the client's certificate names. The handshake has verified the certificate.
pub fn user(connection: &ServerConnection, which: ClientName) -> Option<String> {
    of_certificate(connection.peer_certificates()?.first()?, which)
}

/// The client's certificate, and those that it sent with it.
pub fn certificates(connection: &ServerConnection) -> Box<[CertificateId]> {
    connection.peer_certificates().unwrap_or_default().iter().filter_map(|der| CertificateId::of(der)).collect()
}

/// The certificates that the revocation lists in a file name.
pub fn revoked(path: &Path) -> Result<HashSet<CertificateId>, String> {
    let lists: Vec<CertificateRevocationListDer<'_>> = pem(path)?;
    let mut revoked = HashSet::new();
    for list in &lists {
        revoked.extend(identity::revoked(list).map_err(|error| named(path, error))?);
    }
    Ok(revoked)
}

/// The channel binding of a connection: `tls-exporter` (RFC 9266), with TLS 1.3 only. With TLS 1.2 it is safe only if the extended
/// master secret was negotiated.
pub fn binding<D>(connection: &ConnectionCommon<D>) -> Option<ChannelBinding> {
    if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    let data = connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok()?;
    Some(ChannelBinding { kind: "tls-exporter".into(), data: data.to_vec() })
}

/// The strength of a connection's cipher, in bits.
pub fn strength<D>(connection: &ConnectionCommon<D>) -> u32 {
    let suite = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
    match suite {
        Some(name) if name.contains("AES_128") => 128,
        Some(_) => 256,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn expired_and_future_certificates_are_reported() {
        let der = include_bytes!("../tests/one-name.der");
        let validity = *Certificate::from_der(der).unwrap().tbs_certificate().validity();
        let (begin, end) =
            (UNIX_EPOCH + validity.not_before.to_unix_duration(), UNIX_EPOCH + validity.not_after.to_unix_duration());
        let second = Duration::from_secs(1);
        for good in [begin, end] {
            assert_eq!(invalidity(der, good), None);
        }
        let fault = |time| invalidity(der, time).unwrap();
        assert!(fault(begin - second).contains("is not valid yet"), "{}", fault(begin - second));
        assert!(fault(end + second).contains("CN=fred") && fault(end + second).contains("has expired"));
    }
}
