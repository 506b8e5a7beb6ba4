//! Transport Layer Security, either side.

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::path::PathBuf;

/// Certificates or a key in PEM (RFC 7468): the text itself, or the file that has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Pem {
    /// The text.
    Text(String),
    /// A file. Relative paths of a scenario's file are from where that file is.
    File(PathBuf),
}

impl Pem {
    /// What every PEM text has, and no path that anybody uses.
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";

    /// The file, if it is one.
    pub fn file_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Pem::File(path) => Some(path),
            Pem::Text(_) => None,
        }
    }

    /// Leaves nothing of a text but its certificates, so that it can be shown: private keys are replaced by a remark.
    pub fn hide_keys(&mut self) {
        let Pem::Text(text) = self else { return };
        let mut shown = String::new();
        let mut certificate = false;
        for line in text.lines() {
            if let Some(label) = line.strip_prefix(Pem::BEGIN) {
                certificate = label.trim_end_matches('-').ends_with("CERTIFICATE");
                if !certificate {
                    shown += "(a private key, not shown)\n";
                }
            }
            if certificate {
                shown += line;
                shown.push('\n');
            }
            certificate &= !line.starts_with(Pem::END);
        }
        *text = shown;
    }
}

/// Where it is.
impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pem::Text(_) => f.write_str("the PEM text of the scenario"),
            Pem::File(path) => path.display().fmt(f),
        }
    }
}

impl From<String> for Pem {
    fn from(text: String) -> Pem {
        match text.contains(Pem::BEGIN) {
            true => Pem::Text(text),
            false => Pem::File(text.into()),
        }
    }
}

impl Serialize for Pem {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Pem::Text(text) => to.serialize_str(text),
            Pem::File(path) => match path.to_str() {
                Some(path) => to.serialize_str(path),
                None => Err(S::Error::custom(format!(
                    "the path {} is not UTF-8: rename the file",
                    path.display()
                ))),
            },
        }
    }
}

impl From<PathBuf> for Pem {
    fn from(path: PathBuf) -> Pem {
        Pem::File(path)
    }
}

/// The side that connects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TlsClient {
    /// Certificates to trust (PEM) instead of the system's.
    pub cacert: Option<Pem>,
    /// Any certificate is accepted.
    pub insecure: bool,
    /// Protocols to offer (ALPN, RFC 7301), the preferred one first.
    pub alpn: Vec<String>,
    /// The name to ask for and to check (SNI, RFC 6066 section 3); `None` for the target's own.
    pub sni: Option<String>,
    /// Sessions are resumed if the server allows it; else each connection makes a full handshake.
    pub resume: bool,
}

/// The side that accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TlsServerKeys", into = "TlsServerKeys")]
pub struct TlsServer {
    /// The certificate, with those that lead from it to a root, and its private key (PEM); `None` for one
    /// that is made for the run.
    pub identity: Option<(Pem, Pem)>,
    /// Protocols that are spoken (ALPN), the preferred one first.
    pub alpn: Vec<String>,
    /// Sessions may be resumed.
    pub resumption: bool,
}

impl TlsServer {
    /// The certificate and its key, if there are any, each with its option.
    pub(super) fn pems_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Pem)> {
        let both = self.identity.iter_mut();
        both.flat_map(|(cert, key)| [("--ssl-cert", cert), ("--ssl-key", key)])
    }
}

impl Default for TlsServer {
    fn default() -> TlsServer {
        TlsServer {
            identity: None,
            alpn: Vec::new(),
            resumption: true,
        }
    }
}

/// The side that accepts, as it stands in a file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct TlsServerKeys {
    ssl_cert: Option<Pem>,
    ssl_key: Option<Pem>,
    alpn: Vec<String>,
    resumption: bool,
}

impl Default for TlsServerKeys {
    fn default() -> TlsServerKeys {
        TlsServer::default().into()
    }
}

/// A certificate without its key, or a key alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' needs '{missing}' beside it")]
pub struct IdentityError {
    given: &'static str,
    missing: &'static str,
}

impl TryFrom<TlsServerKeys> for TlsServer {
    type Error = IdentityError;
    fn try_from(keys: TlsServerKeys) -> Result<TlsServer, IdentityError> {
        let half = |given, missing| Err(IdentityError { given, missing });
        Ok(TlsServer {
            identity: match (keys.ssl_cert, keys.ssl_key) {
                (None, None) => None,
                (Some(certificate), Some(key)) => Some((certificate, key)),
                (Some(_), None) => return half("ssl-cert", "ssl-key"),
                (None, Some(_)) => return half("ssl-key", "ssl-cert"),
            },
            alpn: keys.alpn,
            resumption: keys.resumption,
        })
    }
}

impl From<TlsServer> for TlsServerKeys {
    fn from(server: TlsServer) -> TlsServerKeys {
        let (ssl_cert, ssl_key) = server.identity.unzip();
        TlsServerKeys {
            ssl_cert,
            ssl_key,
            alpn: server.alpn,
            resumption: server.resumption,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_shown_and_keys_are_not() {
        let block = |label: &str| format!("-----BEGIN {label}-----\nMII=\n-----END {label}-----\n");
        let certificate = block("CERTIFICATE");
        let remark = "(a private key, not shown)\n";
        let trusted = block("TRUSTED CERTIFICATE");
        for (text, shown) in [
            (certificate.repeat(2), certificate.repeat(2)),
            (trusted.clone(), trusted),
            (block("PRIVATE KEY"), remark.to_owned()),
            (
                block("EC PRIVATE KEY") + &certificate + "subject=a\n",
                remark.to_owned() + &certificate,
            ),
            ("-----BEGIN PRIVATE KEY\nMII=".to_owned(), remark.to_owned()),
        ] {
            let mut pem = Pem::from(text.clone());
            pem.hide_keys();
            assert_eq!(pem, Pem::Text(shown), "{text}");
        }
        let mut file = Pem::File("key.pem".into());
        file.hide_keys();
        assert_eq!(file, Pem::File("key.pem".into()));
    }
}
