//! Certificates and keys from PEM files.

use crate::config::ConfigError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::borrow::Cow;
use std::fs;
use throng_core::scenario::Pem;

fn read(pem: &Pem) -> Result<Cow<'_, [u8]>, ConfigError> {
    match pem {
        Pem::Text(text) => Ok(text.as_bytes().into()),
        Pem::File(path) => match fs::read(path) {
            Ok(text) => Ok(text.into()),
            Err(e) => Err(ConfigError(format!("{pem}: cannot be read: {e}"))),
        },
    }
}

/// All certificates of a file, at least one.
pub(crate) fn certificates(file: &Pem) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let text = read(file)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(ConfigError(format!(
            "{}: has no certificate: PEM is expected, with \"-----BEGIN CERTIFICATE-----\" (from DER: \
             openssl x509 -inform der -in FILE)",
            file
        ))),
        Err(e) => Err(ConfigError(format!("{file}: is not proper PEM: {e}"))),
    }
}

/// The private key of a file: PKCS #8, SEC 1 or PKCS #1.
pub(crate) fn private_key(file: &Pem) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let text = read(file)?;
    if let Ok(key) = PrivateKeyDer::from_pem_slice(&text) {
        return Ok(key);
    }
    let name = file;
    let lossy = String::from_utf8_lossy(&text);
    let locked =
        lossy.contains("ENCRYPTED PRIVATE KEY") || lossy.contains("Proc-Type: 4,ENCRYPTED");
    Err(ConfigError(if locked {
        format!(
            "{name}: the private key is encrypted: decrypt it with openssl pkey -in {name} -out FILE"
        )
    } else {
        format!("{name}: has no private key: PEM is expected, with \"-----BEGIN PRIVATE KEY-----\"")
    }))
}

/// The chain and the key of one side.
pub(crate) fn identity(
    certificate: &Pem,
    key: &Pem,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ConfigError> {
    Ok((certificates(certificate)?, private_key(key)?))
}

/// What is wrong with an identity that rustls refused.
pub(crate) fn refused(certificate: &Pem, key: &Pem, error: &rustls::Error) -> ConfigError {
    ConfigError(match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("{key}: is not the key of the first certificate in {certificate}")
        }
        rustls::Error::InvalidCertificate(e) => {
            format!("{certificate}: the first certificate cannot be used: {e}")
        }
        e => format!(
            "{key}: this key cannot be used (RSA from 2048 bits, ECDSA and Ed25519 can): {e}"
        ),
    })
}
