//! TLS options that `load`, `serve` and `proxy` share.

use super::common::TLS;
use clap::Args;
use std::path::PathBuf;

/// TLS options of accepted connections, and those of both sides.
#[derive(Args)]
pub(crate) struct TlsServerArgs {
    /// Speak TLS
    #[arg(long, visible_alias = "ssl", help_heading = TLS)]
    pub tls: bool,

    /// Certificate chain of the accepting side (PEM) [default: cert.pem with --listen-port or --ssl-key, else one made for the
    /// run]
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    pub ssl_cert: Option<PathBuf>,

    /// Private key of that certificate (PEM) [default: key.pem, or that of the one made for the run]
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    pub ssl_key: Option<PathBuf>,

    /// Protocols to offer (ALPN), preferred first; repeatable
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = alpn, help_heading = TLS)]
    pub alpn: Vec<String>,
}

/// RFC 7301 section 3.1: a name is 1 to 255 bytes long.
pub(crate) fn alpn(text: &str) -> Result<String, String> {
    match text.len() {
        1..=255 => Ok(text.to_owned()),
        n => Err(format!("a protocol name has 1 to 255 bytes, not {n}")),
    }
}
