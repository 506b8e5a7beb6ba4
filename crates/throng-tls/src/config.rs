//! The parts of the configuration that both sides share: versions, ciphers, protocols, errors.

use crate::cipher;
use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use throng_core::scenario::Pem;

/// The default limit on the duration of a handshake.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// Why TLS cannot be set up as asked. The message is one line, with the remedy.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not a version of TLS.
    #[error("\"{0}\" is not a TLS version that throng supports: 1.2 or 1.3")]
    Version(String),
    /// The oldest version is newer than the newest.
    #[error("no TLS version lies between {min} and {max}: the oldest must not be newer than the newest", min = .0.min, max = .0.max)]
    NoVersion(Versions),
    /// A name that ALPN cannot carry (RFC 7301 section 3.1).
    #[error("\"{0}\" is not a protocol name for ALPN: 1 to 255 bytes, such as h2 or http/1.1")]
    Protocol(String),
    /// Not the name of a server.
    #[error("\"{0}\" is not the name of a TLS server: a host name or an IP address")]
    Name(String),
    /// A client without the name of a server.
    #[error("a TLS client needs the name of its server: a host name or an IP address")]
    NoName,
    /// A file that cannot be read.
    #[error("{pem}: cannot be read: {error}")]
    Unreadable {
        /// The file.
        pem: Pem,
        /// Why.
        error: Arc<io::Error>,
    },
    /// Malformed PEM.
    #[error("{pem}: malformed PEM: {error}")]
    NotPem {
        /// Where it is.
        pem: Pem,
        /// Why.
        error: String,
    },
    /// No certificate where one is expected.
    #[error(
        "{0}: no certificate: PEM is expected, with \"-----BEGIN CERTIFICATE-----\" (from DER: \
         openssl x509 -inform der -in FILE)"
    )]
    NoCertificate(Pem),
    /// A private key that needs a password.
    #[error("{0}: the private key is encrypted: decrypt it with openssl pkey -in {0} -out FILE")]
    EncryptedKey(Pem),
    /// No private key where one is expected.
    #[error("{0}: no private key: PEM is expected, with \"-----BEGIN PRIVATE KEY-----\"")]
    NoKey(Pem),
    /// A key that does not belong to the certificate.
    #[error("{key}: not the key of the first certificate in {certificate}")]
    OtherKey {
        /// The certificate.
        certificate: Pem,
        /// The key.
        key: Pem,
    },
    /// A certificate that cannot be used.
    #[error("{certificate}: the first certificate cannot be used: {error}")]
    Certificate {
        /// The certificate.
        certificate: Pem,
        /// Why.
        error: rustls::CertificateError,
    },
    /// A key of a kind that is not supported.
    #[error(
        "{key}: this key cannot be used, only RSA of at least 2048 bits, ECDSA and Ed25519: {error}"
    )]
    Key {
        /// The key.
        key: Pem,
        /// Why.
        error: rustls::Error,
    },
    /// Trusted certificates that cannot be read.
    #[error("{}: {unusable} of its certificates cannot be read: X.509 version 3 is expected", of_trusted(.file))]
    Trusted {
        /// The file; `None` for certificates from memory.
        file: Option<Pem>,
        /// How many of them.
        unusable: usize,
    },
    /// The certificate store of the system is empty.
    #[error(
        "the system has no trusted authorities{}: install ca-certificates, give a file with --cacert, or accept \
         any certificate with --insecure",
        .0.as_ref().map(|why| format!(" ({why})")).unwrap_or_default()
    )]
    NoAuthorities(Option<String>),
    /// Trusted certificates that cannot be used for verification.
    #[error("trusted certificates: {0}")]
    Verifier(String),
    /// No certificate can be generated for the run.
    #[error(
        "no certificate can be generated for these names ({0}): give one with --ssl-cert and --ssl-key"
    )]
    OwnCertificate(rcgen::Error),
    /// No random numbers for session tickets.
    #[error("the system provides no random numbers (getrandom)")]
    NoRandom,
    /// Any other refusal by rustls.
    #[error("{what}: {error}")]
    Refused {
        /// What was refused.
        what: &'static str,
        /// Why.
        error: rustls::Error,
    },
}

fn of_trusted(file: &Option<Pem>) -> String {
    match file {
        Some(file) => file.to_string(),
        None => "the trusted certificates".into(),
    }
}

/// The error for a refusal by rustls that has no variant of its own.
pub(crate) fn refused(what: &'static str) -> impl Fn(rustls::Error) -> ConfigError {
    move |error| ConfigError::Refused { what, error }
}

/// A version of TLS. Older ones are not supported (RFC 8996).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2 (RFC 5246), only with forward secrecy and an AEAD.
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl FromStr for Version {
    type Err = ConfigError;

    fn from_str(s: &str) -> Result<Version, ConfigError> {
        match s {
            "1.2" => Ok(Version::Tls12),
            "1.3" => Ok(Version::Tls13),
            _ => Err(ConfigError::Version(s.into())),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::Tls12 => "1.2",
            Version::Tls13 => "1.3",
        })
    }
}

/// The range of versions that may be negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest.
    pub min: Version,
    /// The newest.
    pub max: Version,
}

impl Default for Versions {
    fn default() -> Versions {
        Versions {
            min: Version::Tls12,
            max: Version::Tls13,
        }
    }
}

impl Versions {
    pub(crate) fn list(
        self,
    ) -> Result<impl AsRef<[&'static SupportedProtocolVersion]>, ConfigError> {
        let all = [
            (Version::Tls13, &rustls::version::TLS13),
            (Version::Tls12, &rustls::version::TLS12),
        ];
        let allowed = all
            .into_iter()
            .filter(|(v, _)| (self.min..=self.max).contains(v));
        let allowed: Vec<_> = allowed.map(|(_, version)| version).collect();
        if allowed.is_empty() {
            return Err(ConfigError::NoVersion(self));
        }
        Ok(allowed)
    }
}

/// The cryptography of either side.
pub(crate) fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .sort_by_key(|s| cipher::rank(s.suite()));
    provider
}

/// The cryptography of a client, without key exchanges that are too large to be offered at once: a server that
/// prefers one asks for it, and the handshake takes another round trip.
pub(crate) fn client_provider() -> Arc<CryptoProvider> {
    let mut provider = provider();
    let names = [
        rustls::NamedGroup::X25519,
        rustls::NamedGroup::secp256r1,
        rustls::NamedGroup::secp384r1,
    ];
    provider.kx_groups.retain(|g| names.contains(&g.name()));
    Arc::new(provider)
}

/// The names of protocols for ALPN, as rustls takes them (RFC 7301 section 3.1: 1 to 255 bytes each).
pub(crate) fn protocols(names: &[String]) -> Result<Vec<Vec<u8>>, ConfigError> {
    for name in names {
        if !(1..=255).contains(&name.len()) {
            return Err(ConfigError::Protocol(name.clone()));
        }
    }
    Ok(names.iter().map(|n| n.as_bytes().to_vec()).collect())
}
