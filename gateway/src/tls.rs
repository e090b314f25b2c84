//! TLS below the protocol, and what SASL wants to know of it.

use std::path::Path;
use std::sync::Arc;

use authen_sasl_rust::config::ChannelBinding;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use tokio_rustls::TlsAcceptor;

/// Reads a certificate (with its chain) and its key, both PEM.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let wrong = |path: &Path, what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(certificate, &error))?;
    if chain.is_empty() {
        return Err(wrong(certificate, &"there is no certificate in it"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| wrong(certificate, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
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
