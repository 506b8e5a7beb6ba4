//! What both sides' configurations share: versions, ciphers, protocols, errors.

use crate::cipher;
use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// How long a handshake may take, if nothing else is asked for.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// Why TLS can't be set up as asked: one line for people, with what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub(crate) String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// An error of rustls' where nothing better can be said.
pub(crate) fn refused(what: &str) -> impl Fn(rustls::Error) -> ConfigError + '_ {
    move |error| ConfigError(format!("{what}: {error}"))
}

/// A version of TLS. The older ones are not offered (RFC 8996).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2, RFC 5246; only with forward secrecy and an AEAD.
    Tls12,
    /// TLS 1.3, RFC 8446.
    Tls13,
}

impl FromStr for Version {
    type Err = ConfigError;

    fn from_str(s: &str) -> Result<Version, ConfigError> {
        match s {
            "1.2" => Ok(Version::Tls12),
            "1.3" => Ok(Version::Tls13),
            _ => Err(ConfigError(format!(
                "\"{s}\" is no TLS version that throng speaks: 1.2 or 1.3"
            ))),
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

/// The versions that may be agreed on.
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
            return Err(ConfigError(format!(
                "no TLS version lies between {} and {}: the oldest must not be newer than the newest",
                self.min, self.max
            )));
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

/// The same for a client, without key exchanges that are too large to be offered at once: a server
/// that prefers one asks for it, and the handshake takes a round trip more.
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

/// ALPN's names as rustls takes them (RFC 7301 section 3.1: 1 to 255 bytes each).
pub(crate) fn protocols(names: &[String]) -> Result<Vec<Vec<u8>>, ConfigError> {
    for name in names {
        if !(1..=255).contains(&name.len()) {
            return Err(ConfigError(format!(
                "\"{name}\" is no protocol name for ALPN: 1 to 255 bytes, such as h2 or http/1.1"
            )));
        }
    }
    Ok(names.iter().map(|n| n.as_bytes().to_vec()).collect())
}
