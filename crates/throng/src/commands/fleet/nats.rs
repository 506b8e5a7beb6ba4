//! The options that say where a NATS server is: those of `throng agent` and `throng fleet`.

use crate::Failure;
use std::path::PathBuf;
use throng_fleet::nats::{Connection, NatsError, Prefix, Server, is_name};

/// The heading of the help.
pub(crate) const NATS: &str = "NATS";

/// Where a NATS server is, and how to log in there.
#[derive(clap::Args)]
pub(crate) struct Nats {
    /// NATS server between agents and coordinator: nats:// or tls://, then HOST, HOST:PORT or USER:PASSWORD@HOST:PORT
    #[arg(long = "nats", value_name = "URL", help_heading = NATS)]
    pub url: Option<String>,

    /// What subjects on the server begin with
    #[arg(long = "nats-prefix", value_name = "PREFIX", default_value_t, help_heading = NATS)]
    pub prefix: Prefix,

    /// Credentials file to log in with (JWT and seed)
    #[arg(long = "nats-creds", value_name = "FILE", requires = "url", help_heading = NATS)]
    pub creds: Option<PathBuf>,

    /// Certificates of authorities that the server's is checked against, PEM [default: the system's]
    #[arg(long = "nats-ca", value_name = "FILE", requires = "url", help_heading = NATS)]
    pub ca: Option<PathBuf>,

    /// Certificate to log in with, PEM
    #[arg(long = "nats-cert", value_name = "FILE", requires = "key", help_heading = NATS)]
    pub cert: Option<PathBuf>,

    /// Key of that certificate, PEM
    #[arg(long = "nats-key", value_name = "FILE", requires = "cert", help_heading = NATS)]
    pub key: Option<PathBuf>,
}

impl Nats {
    /// The server; `None` if none is named.
    pub(crate) fn server(&self) -> Result<Option<Server>, Failure> {
        let Some(url) = &self.url else {
            return Ok(None);
        };
        let certificate = self.cert.clone().zip(self.key.clone());
        let server = Server::new(url, self.creds.clone(), self.ca.clone(), certificate);
        server.map(Some).map_err(failure)
    }

    /// A connection to `server`.
    pub(crate) fn connect(&self, server: &Server) -> Result<Connection, NatsError> {
        Connection::open(server, &self.prefix)
    }
}

/// A connection to the server that `nats` names.
pub(super) fn connect(nats: &Nats) -> Result<(Server, Connection), Failure> {
    let server = nats.server()?.ok_or_else(|| {
        Failure::usage("which NATS server is missing; write --nats nats://127.0.0.1:4222")
    })?;
    let connection = nats.connect(&server).map_err(failure)?;
    Ok((server, connection))
}

/// The name of a run.
pub(super) fn run_name(text: &str) -> Result<String, String> {
    match is_name(text) {
        true => Ok(text.to_owned()),
        false => Err("write the name of a run, as throng fleet run has printed it".into()),
    }
}

/// Why there is no connection.
pub(crate) fn failure(error: NatsError) -> Failure {
    match error {
        NatsError::Usage(line) => Failure::usage(line),
        error => Failure::fault(error.to_string()),
    }
}
