//! What a server of TLS is set up with.

use crate::config::{self, ConfigError, Versions};
use crate::pem;
use crate::resumption::TicketKey;
use crate::secrets::Catch;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use std::sync::Arc;
use std::time::Duration;
use throng_core::scenario::{Pem, TlsServer};

/// The names that a certificate made here is always for.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What is asked of a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Its certificate, followed by those between it and the authority, and its key (PEM). Without files a
    /// certificate that signs itself is made in memory.
    pub identity: Option<(Pem, Pem)>,
    /// The names and addresses for which it is then made, besides those of this machine to itself.
    pub names: Vec<String>,
    /// Application protocols that it speaks, the preferred one first (ALPN, RFC 7301); none: it does not
    /// answer offers.
    pub alpn: Vec<String>,
    /// Give out tickets with which sessions can be resumed.
    pub resumption: bool,
    /// The versions to accept.
    pub versions: Versions,
    /// How long a handshake may take.
    pub timeout: Duration,
}

impl ServerOptions {
    /// What a scenario asks of a server.
    pub fn of(asked: &TlsServer) -> ServerOptions {
        ServerOptions {
            identity: asked.identity.clone(),
            alpn: asked.alpn.clone(),
            resumption: asked.resumption,
            ..ServerOptions::default()
        }
    }
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            identity: None,
            names: Vec::new(),
            alpn: Vec::new(),
            resumption: true,
            versions: Versions::default(),
            timeout: config::TIMEOUT,
        }
    }
}

/// A server's set-up, read and checked. Each worker's [`Tls::server`](crate::Tls::server) makes its own
/// configuration of it.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: ServerConfig,
    certificate: CertificateDer<'static>,
    timeout: Duration,
}

impl ServerTls {
    /// Reads the files that the options name, or makes a certificate.
    ///
    /// # Errors
    /// In one line, what can't be used and what could.
    pub fn new(options: &ServerOptions) -> Result<ServerTls, ConfigError> {
        let (chain, key) = match &options.identity {
            Some((certificate, key)) => pem::identity(certificate, key)?,
            None => own_certificate(&options.names)?,
        };
        let certificate = chain[0].clone();
        let versions = options.versions.list()?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(config::provider()))
            .with_protocol_versions(versions.as_ref())
            .map_err(config::refused("TLS"))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|e| match &options.identity {
                Some((certificate, key)) => pem::refused(certificate, key, e),
                None => config::refused("own certificate")(e),
            })?;
        config.alpn_protocols = config::protocols(&options.alpn)?;
        config.enable_secret_extraction = true;
        // Only tickets: what the server would have to remember, its workers would have to share.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if options.resumption {
            let key = TicketKey::new().ok_or(ConfigError::NoRandom)?;
            config.ticketer = Arc::new(key);
            // One serves the next connection, which gets another.
            config.send_tls13_tickets = 1;
        } else {
            config.send_tls13_tickets = 0;
        }
        Ok(ServerTls {
            config,
            certificate,
            timeout: options.timeout,
        })
    }

    /// The server's certificate (DER), for clients in the same process to trust: see
    /// [`ClientOptions::trusted`](crate::ClientOptions::trusted).
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A worker's configuration.
    pub(crate) fn for_worker(&self, catch: Arc<Catch>) -> Arc<ServerConfig> {
        let mut config = self.config.clone();
        config.key_log = catch;
        Arc::new(config)
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A certificate that signs itself, with a new ECDSA key on P-256.
fn own_certificate(names: &[String]) -> Result<Identity, ConfigError> {
    let all = OWN_NAMES.iter().map(|n| n.to_string());
    let all: Vec<String> = all.chain(names.iter().cloned()).collect();
    let made = || -> Result<Identity, rcgen::Error> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(all)?.self_signed(&key)?;
        let der = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Ok((vec![certificate.der().clone()], der))
    };
    made().map_err(ConfigError::OwnCertificate)
}
