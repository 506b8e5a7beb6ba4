//! The configuration of a TLS client.

use crate::config::{self, ConfigError, Versions};
use crate::pem;
use crate::resumption::Sessions;
use crate::secrets::Catch;
use crate::verify::{Trust, Verifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use throng_core::scenario::{Pem, TlsClient};

/// The options of a TLS client.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The names of servers: sent in the handshake (SNI) and checked against the certificate. Host names or IP
    /// addresses, in brackets or not; for an address, no SNI is sent (RFC 6066 section 3). At least one;
    /// [`Tls::choosing`](crate::Tls::choosing) chooses among several.
    pub names: Vec<String>,
    /// Whether host names are sent (SNI).
    pub sni: bool,
    /// Authorities to trust instead of the certificate store of the system (PEM).
    pub ca_file: Option<Pem>,
    /// Additional certificates to trust (DER): those of servers in this process.
    pub trusted: Vec<Vec<u8>>,
    /// Accept any certificate.
    pub insecure: bool,
    /// The certificate chain and the private key for servers that request a client certificate (PEM).
    pub identity: Option<(Pem, Pem)>,
    /// Application protocols to offer, the preferred one first (ALPN, RFC 7301). If there are none, ALPN is not used.
    pub alpn: Vec<String>,
    /// Resume sessions if the server allows it.
    pub resumption: bool,
    /// The versions to offer.
    pub versions: Versions,
    /// The limit on the duration of a handshake.
    pub timeout: Duration,
}

impl ClientOptions {
    /// The options that a scenario asks for, for targets of these names. A name in the scenario replaces them.
    pub fn of(asked: &TlsClient, targets: impl IntoIterator<Item = String>) -> ClientOptions {
        ClientOptions {
            names: match &asked.sni {
                Some(name) => vec![name.clone()],
                None => targets.into_iter().collect(),
            },
            ca_file: asked.cacert.clone(),
            insecure: asked.insecure,
            alpn: asked.alpn.clone(),
            resumption: asked.resume,
            ..ClientOptions::default()
        }
    }
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            names: Vec::new(),
            sni: true,
            ca_file: None,
            trusted: Vec::new(),
            insecure: false,
            identity: None,
            alpn: Vec::new(),
            resumption: true,
            versions: Versions::default(),
            timeout: config::TIMEOUT,
        }
    }
}

/// The configuration of a client, read and checked. Each worker's [`Tls::client`](crate::Tls::client) derives its own
/// from it.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: ClientConfig,
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
    names: Arc<[ServerName<'static>]>,
    resumption: bool,
    timeout: Duration,
}

impl ClientTls {
    /// Reads the files that the options name.
    ///
    /// # Errors
    /// If a file or an option cannot be used.
    pub fn new(options: &ClientOptions) -> Result<ClientTls, ConfigError> {
        let provider = config::client_provider();
        let versions = options.versions.list()?;
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions.as_ref())
            .map_err(config::refused("TLS"))?
            .dangerous();
        let algorithms = provider.signature_verification_algorithms;
        let trust = if options.insecure {
            Trust::Any
        } else {
            let (roots, trusted) = trusted(options)?;
            let webpki = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            let webpki = webpki.map_err(|e| ConfigError::Verifier(e.to_string()))?;
            Trust::chains(webpki, trusted)
        };
        let verifier = Verifier::new(trust.clone(), algorithms);
        let builder = builder.with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &options.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let (chain, der) = pem::identity(certificate, key)?;
                builder
                    .with_client_auth_cert(chain, der)
                    .map_err(|e| pem::refused(certificate, key, e))?
            }
        };
        config.alpn_protocols = config::protocols(&options.alpn)?;
        config.enable_sni = options.sni;
        config.enable_secret_extraction = true;
        let names: Result<Vec<_>, _> = options.names.iter().map(|n| name(n)).collect();
        if options.names.is_empty() {
            return Err(ConfigError::NoName);
        }
        Ok(ClientTls {
            config,
            trust,
            algorithms,
            names: names?.into(),
            resumption: options.resumption,
            timeout: options.timeout,
        })
    }

    pub(crate) fn names(&self) -> Arc<[ServerName<'static>]> {
        self.names.clone()
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The configuration of a worker, and its store of sessions.
    pub(crate) fn for_worker(
        &self,
        catch: Arc<Catch>,
    ) -> (Arc<ClientConfig>, Option<Arc<Sessions>>) {
        let mut config = self.config.clone();
        config.key_log = catch;
        let verifier = Verifier::new(self.trust.clone(), self.algorithms);
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(verifier));
        let sessions = self.resumption.then(|| Arc::new(Sessions::default()));
        config.resumption = match &sessions {
            Some(sessions) => Resumption::store(sessions.clone()),
            None => Resumption::disabled(),
        };
        (Arc::new(config), sessions)
    }
}

fn name(text: &str) -> Result<ServerName<'static>, ConfigError> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let bare = bare.unwrap_or(text);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    ServerName::try_from(bare.to_owned()).map_err(|_| ConfigError::Name(text.into()))
}

type Trusted = (Arc<RootCertStore>, Vec<CertificateDer<'static>>);

/// The authorities to trust, and those among them that the options name.
fn trusted(options: &ClientOptions) -> Result<Trusted, ConfigError> {
    let mut roots = RootCertStore::empty();
    let mut named: Vec<CertificateDer<'static>> = Vec::new();
    for der in &options.trusted {
        named.push(der.clone().into());
    }
    if let Some(file) = &options.ca_file {
        named.extend(pem::certificates(file)?);
    }
    let (_, unusable) = roots.add_parsable_certificates(named.iter().cloned());
    if unusable > 0 {
        return Err(ConfigError::Trusted {
            file: options.ca_file.clone(),
            unusable,
        });
    }
    if named.is_empty() {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        if roots.is_empty() {
            let why = system.errors.first().map(ToString::to_string);
            return Err(ConfigError::NoAuthorities(why));
        }
    }
    Ok((Arc::new(roots), named))
}
