//! The configuration of a TLS server.

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

/// The names that a generated certificate always has.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The options of a TLS server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The certificate, followed by those between it and the authority, and the private key (PEM). If there is none,
    /// a self-signed certificate is generated in memory.
    pub identity: Option<(Pem, Pem)>,
    /// Names and addresses of a generated certificate, in addition to `localhost` and the loopback addresses.
    pub names: Vec<String>,
    /// Application protocols, the preferred one first (ALPN, RFC 7301). If there are none, offers are not answered.
    pub alpn: Vec<String>,
    /// Issue tickets with which sessions can be resumed.
    pub resumption: bool,
    /// The versions to accept.
    pub versions: Versions,
    /// The limit on the duration of a handshake.
    pub timeout: Duration,
}

impl ServerOptions {
    /// The options that a scenario asks for.
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

/// The configuration of a server, read and checked. Each worker's [`Tls::server`](crate::Tls::server) derives its own
/// from it.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: ServerConfig,
    certificate: CertificateDer<'static>,
    timeout: Duration,
}

impl ServerTls {
    /// Reads the files that the options name, or generates a certificate.
    ///
    /// # Errors
    /// If a file or an option cannot be used.
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
        // Tickets only: workers would have to share sessions that the server remembers.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if options.resumption {
            let key = TicketKey::new().ok_or(ConfigError::NoRandom)?;
            config.ticketer = Arc::new(key);
            // One is enough: the next connection uses it and gets another.
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

    /// The certificate (DER), for clients in the same process to trust: see
    /// [`ClientOptions::trusted`](crate::ClientOptions::trusted).
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The configuration of a worker.
    pub(crate) fn for_worker(&self, catch: Arc<Catch>) -> Arc<ServerConfig> {
        let mut config = self.config.clone();
        config.key_log = catch;
        Arc::new(config)
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A self-signed certificate with a new ECDSA key on P-256.
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
