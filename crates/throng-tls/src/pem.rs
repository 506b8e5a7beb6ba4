//! Certificates and keys from PEM files.

use crate::config::ConfigError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::borrow::Cow;
use std::fs;
use std::sync::Arc;
use throng_core::scenario::Pem;

fn read(pem: &Pem) -> Result<Cow<'_, [u8]>, ConfigError> {
    match pem {
        Pem::Text(text) => Ok(text.as_bytes().into()),
        Pem::File(path) => match fs::read(path) {
            Ok(text) => Ok(text.into()),
            Err(e) => Err(ConfigError::Unreadable {
                pem: pem.clone(),
                error: Arc::new(e),
            }),
        },
    }
}

/// All certificates of a file, at least one.
pub(crate) fn certificates(file: &Pem) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let text = read(file)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(ConfigError::NoCertificate(file.clone())),
        Err(e) => Err(ConfigError::NotPem {
            pem: file.clone(),
            error: e.to_string(),
        }),
    }
}

/// The private key of a file: PKCS #8, SEC 1 or PKCS #1.
pub(crate) fn private_key(file: &Pem) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let text = read(file)?;
    if let Ok(key) = PrivateKeyDer::from_pem_slice(&text) {
        return Ok(key);
    }
    let lossy = String::from_utf8_lossy(&text);
    let locked =
        lossy.contains("ENCRYPTED PRIVATE KEY") || lossy.contains("Proc-Type: 4,ENCRYPTED");
    Err(match locked {
        true => ConfigError::EncryptedKey(file.clone()),
        false => ConfigError::NoKey(file.clone()),
    })
}

/// The certificate chain and the private key of one side.
pub(crate) fn identity(
    certificate: &Pem,
    key: &Pem,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ConfigError> {
    Ok((certificates(certificate)?, private_key(key)?))
}

/// The error for an identity that rustls refused.
pub(crate) fn refused(certificate: &Pem, key: &Pem, error: rustls::Error) -> ConfigError {
    let (certificate, key) = (certificate.clone(), key.clone());
    match error {
        rustls::Error::InconsistentKeys(_) => ConfigError::OtherKey { certificate, key },
        rustls::Error::InvalidCertificate(error) => ConfigError::Certificate { certificate, error },
        error => ConfigError::Key { key, error },
    }
}
