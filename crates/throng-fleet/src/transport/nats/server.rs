//! Where a NATS server is, and how to log in there.

use async_nats::{ConnectErrorKind, ConnectOptions, ServerAddr};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// Why there is no connection to a server. Names and passwords are not part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NatsError {
    /// The user has to write something else.
    #[error("{0}")]
    Usage(String),
    /// The server is out of reach; it may be there later.
    #[error("NATS server {server} is out of reach: {why}")]
    Away {
        /// Host and port.
        server: String,
        /// Why.
        why: String,
    },
    /// The server, or what it is asked with, does not let anybody in.
    #[error("NATS server {server}: {why}")]
    Refused {
        /// Host and port.
        server: String,
        /// Why.
        why: String,
    },
}

/// Where a NATS server is, and how to log in there.
#[derive(Clone)]
pub struct Server {
    address: ServerAddr,
    credentials: Option<PathBuf>,
    ca: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
}

impl fmt::Display for Server {
    /// Host and port: a password in the URL is never shown.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (host, port) = (self.address.host(), self.address.port());
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

impl Server {
    /// The server at `url`: `nats://` or `tls://`, `USER:PASSWORD@` or `TOKEN@`, host and port. `credentials` is a file with a JWT
    /// and its seed, `ca` one with the certificates that are trusted instead of the system's, `certificate` this side's own, with
    /// its key. Files are PEM.
    ///
    /// # Errors
    /// The URL is none, or leads to another machine with neither TLS nor credentials. The line does not have it in it.
    pub fn new(
        url: &str,
        credentials: Option<PathBuf>,
        ca: Option<PathBuf>,
        certificate: Option<(PathBuf, PathBuf)>,
    ) -> Result<Server, NatsError> {
        let usage = |line: String| NatsError::Usage(line);
        let wrong = || {
            usage("--nats is no URL of a server; write nats://HOST:4222 or tls://HOST:4222".into())
        };
        if url.contains('@') && !url.contains("://") {
            // Where command lines are shown, only what has a scheme is known for a URL.
            return Err(wrong());
        }
        let address: ServerAddr = url.parse().map_err(|_| wrong())?;
        if !matches!(address.scheme(), "nats" | "tls") || address.host().is_empty() {
            return Err(wrong());
        }
        for file in [&credentials, &ca].into_iter().flatten() {
            readable(file)?;
        }
        if let Some((certificate, key)) = &certificate {
            readable(certificate)?;
            readable(key)?;
        }
        let server = Server {
            address,
            credentials,
            ca,
            certificate,
        };
        if !server.is_here() && !server.is_secured() {
            return Err(usage(format!(
                "--nats {server} is on another machine: write tls://, or log in with --nats-creds or USER:PASSWORD@ in the URL"
            )));
        }
        Ok(server)
    }

    /// Whether it is on this machine.
    fn is_here(&self) -> bool {
        let host = self.address.host();
        host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    fn uses_tls(&self) -> bool {
        self.address.tls_required() || self.ca.is_some() || self.certificate.is_some()
    }

    fn is_secured(&self) -> bool {
        self.uses_tls() || self.credentials.is_some() || self.address.has_user_pass()
    }

    /// Where it is.
    pub(super) fn address(&self) -> ServerAddr {
        self.address.clone()
    }

    /// How to log in there.
    pub(super) async fn options(&self) -> Result<ConnectOptions, NatsError> {
        let mut options = ConnectOptions::new()
            .name("throng")
            .require_tls(self.uses_tls());
        if let Some(file) = &self.credentials {
            let read = options.credentials_file(file).await;
            options = read.map_err(|e| self.refused(format!("{}: {e}", file.display())))?;
        }
        if let Some(file) = &self.ca {
            options = options.add_root_certificates(file.clone());
        }
        if let Some((certificate, key)) = &self.certificate {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        // The client makes nothing of a login in a URL.
        match (self.address.username(), self.address.password()) {
            (Some(user), Some(password)) => {
                options = options.user_and_password(decoded(user), decoded(password));
            }
            // `TOKEN@`: a user without a password.
            (Some(token), None) => options = options.token(decoded(token)),
            (None, _) => {}
        }
        Ok(options)
    }

    pub(super) fn refused(&self, why: String) -> NatsError {
        let server = self.to_string();
        NatsError::Refused { server, why }
    }

    /// What an attempt to connect failed with.
    pub(super) fn failed(&self, error: &async_nats::ConnectError) -> NatsError {
        let away = |why: &str| NatsError::Away {
            server: self.to_string(),
            why: why.to_owned(),
        };
        let source = std::error::Error::source(error).map_or_else(String::new, ToString::to_string);
        let why = match source.is_empty() {
            true => error.kind().to_string(),
            false => source,
        };
        match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => self
                .refused(
                    "it does not let us in: the user, the password, the token or the credentials are wrong"
                        .into(),
                ),
            ConnectErrorKind::TimedOut => away("it did not answer in time"),
            ConnectErrorKind::Dns | ConnectErrorKind::Io if !self.uses_tls() => away(&why),
            ConnectErrorKind::Io if why.contains("refused") => away(&why),
            // rustls, of bytes that are no TLS.
            _ if why.contains("InvalidContentType") => self.refused(
                "it does not speak TLS there: write nats:// in place of tls://, or switch TLS on at the server".into(),
            ),
            _ => self.refused(why),
        }
    }
}

/// A part of a URL, in which characters may stand as `%` and two hexadecimal digits.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(code.unwrap_or(*byte));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// # Errors
/// `file` can't be read.
fn readable(file: &PathBuf) -> Result<(), NatsError> {
    let opened = std::fs::File::open(file);
    opened
        .map(drop)
        .map_err(|e| NatsError::Usage(format!("{}: {e}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server, NatsError> {
        Server::new(url, None, None, None)
    }

    #[test]
    fn a_password_is_never_shown() {
        for url in ["nats://me:secret@10.0.0.7", "tls://secret@[fd00::1]:99"] {
            let server = server(url).unwrap();
            let shown = format!("{server} {server:?}");
            assert!(!shown.contains("secret"), "{shown}");
        }
        assert_eq!(server("tls://h").unwrap().to_string(), "h:4222");
        let error = server("x://me:secret@10.0.0.7").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_login_may_have_any_characters() {
        for (text, plain) in [
            ("secret", "secret"),
            ("a%40b%3Ac", "a@b:c"),
            ("100%", "100%"),
            ("%zz%c3%a4", "%zzä"),
        ] {
            assert_eq!(decoded(text), plain);
        }
    }

    #[test]
    fn another_machine_is_reached_with_tls_or_a_login_only() {
        for here in ["127.0.0.1", "nats://[::1]:4223", "nats://localhost"] {
            assert!(server(here).is_ok(), "{here}");
        }
        for safe in [
            "tls://10.0.0.7",
            "nats://me:word@10.0.0.7",
            "nats://token@h",
        ] {
            assert!(server(safe).is_ok(), "{safe}");
        }
        let error = server("nats://10.0.0.7").unwrap_err().to_string();
        assert!(error.contains("10.0.0.7:4222 is on another"), "{error}");
        for wrong in [
            "",
            "me:word@127.0.0.1",
            "ws://127.0.0.1",
            "http://127.0.0.1",
            "nats://",
        ] {
            assert!(server(wrong).is_err(), "{wrong}");
        }
    }
}
