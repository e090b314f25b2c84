//! TLS below the protocol, and what SASL wants to know of it.

use std::path::Path;
use std::sync::Arc;

use authen_sasl_rust::config::ChannelBinding;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::identity::{of_certificate, ClientName};
use crate::settings;

/// Reads a certificate (with its chain) and its key, both PEM, and the authorities of the clients if there are some.
pub fn acceptor(certificate: &Path, key: &Path, settings: &settings::Tls) -> Result<TlsAcceptor, String> {
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let builder = match &settings.client_ca {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(path) => {
            let revoked = settings.client_revoked.as_deref().map_or(Ok(Vec::new()), pem)?;
            // A client without a certificate may log in by another mechanism than EXTERNAL.
            let verifier = WebPkiClientVerifier::builder(Arc::new(authorities(path)?))
                // If there are lists, who is on none that counts for it is refused: its own may just be missing.
                .with_crls(revoked)
                .allow_unauthenticated()
                .build()
                .map_err(|error| wrong(path, &error))?;
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
    };
    let config = builder.with_single_cert(pem(certificate)?, secret).map_err(|error| wrong(certificate, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What connects to backends whose certificates come from these authorities.
pub fn connector(ca: &Path) -> Result<TlsConnector, String> {
    let config = ClientConfig::builder().with_root_certificates(authorities(ca)?).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in pem(path)? {
        store.add(certificate).map_err(|error| wrong(path, &error))?;
    }
    Ok(store)
}

/// All pieces of this kind in a file, at least one.
fn pem<T: PemObject>(path: &Path) -> Result<Vec<T>, String> {
    let all: Vec<T> = T::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| wrong(path, &error))?;
    match all.is_empty() {
        true => Err(wrong(path, &"what was expected is not in it")),
        false => Ok(all),
    }
}

fn wrong(path: &Path, what: &dyn std::fmt::Display) -> String {
    format!("{}: {what}", path.display())
}

/// The user that a client's certificate names, which the handshake has verified.
pub fn user(connection: &ServerConnection, which: ClientName) -> Option<String> {
    of_certificate(connection.peer_certificates()?.first()?, which)
}

/// The channel binding of a connection: `tls-exporter` (RFC 9266), which with TLS 1.2 were unsafe
/// unless the extended master secret was negotiated.
pub fn binding(connection: &ServerConnection) -> Option<ChannelBinding> {
    if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    let data = connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok()?;
    Some(ChannelBinding { kind: "tls-exporter".into(), data: data.to_vec() })
}

/// The strength of a connection's cipher, in bits.
pub fn strength(connection: &ServerConnection) -> u32 {
    let suite = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
    match suite {
        Some(name) if name.contains("AES_128") => 128,
        Some(_) => 256,
        None => 0,
    }
}
