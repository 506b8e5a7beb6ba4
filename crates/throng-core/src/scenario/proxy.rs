//! `throng proxy`: connections to accept, and one to a backend for each.

use super::accepts::accepts;
use super::{Pem, Target, TlsClient, TlsServer, bounds};
use crate::address::SourceRange;
use crate::protocol::proxy::Balance;
use crate::protocol::proxy_protocol::Version;
use crate::units::written::{As, Span};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

accepts! {
    /// `throng proxy`: connections to accept, and one to a backend for each.
    pub struct ProxyScenario at ListenAddress {
        /// Where connections go.
        pub to: Vec<Target> = Vec::new(),
        /// Whether they go to the address that their client connected to instead, which is another machine's.
        pub to_original: bool = false,
        /// How to choose among backends.
        pub balance: Balance = Balance::default(),
        /// Source addresses of the connections to backends; empty for the kernel's choice.
        pub source_ip: Vec<SourceRange> = Vec::new(),
        /// Whether connections to backends come from the client's own address.
        pub transparent: bool = false,
        /// The header of the PROXY protocol that connections to backends begin with.
        pub send_proxy: Option<Version> = None,
        /// Whether those of clients begin with one.
        pub accept_proxy: bool = false,
        /// TLS on the connections of clients; `None` for bytes as they are.
        pub tls: Option<TlsServer> = None,
        /// TLS on the connections to backends.
        pub backend_tls: Option<TlsClient> = None,
        /// How long an attempt to connect to a backend may take.
        #[serde(with = "As::<bounds::Positive>")]
        pub connect_timeout: Duration = Duration::from_secs(5),
        /// How long a backend is left out that does not answer.
        #[serde(with = "As::<bounds::Positive>")]
        pub left_out: Duration = Duration::from_secs(5),
        /// How long connections may go on once the proxy is to end.
        #[serde(with = "As::<Span>")]
        pub drain_timeout: Duration = Duration::from_secs(10),
    }
}

impl ProxyScenario {
    /// The addresses of the backends, in order: those of each target.
    pub fn backends(&self) -> Vec<SocketAddr> {
        let all = self.to.iter().flat_map(|target| &target.addresses);
        all.copied().collect()
    }

    /// The addresses that it listens on.
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.listen.iter().map(|at| at.0).collect()
    }

    /// A backend that is this proxy itself: it listens at that address, on loopback or on all addresses. Each connection would open
    /// another one, without end.
    pub fn leads_to_itself(&self) -> Option<SocketAddr> {
        let is_itself = |backend: &SocketAddr| {
            let mut listens = self.listen.iter().map(|at| at.0);
            listens.any(|at| {
                let same_ip = at.ip() == backend.ip();
                let any = at.ip().is_unspecified() && backend.ip().is_loopback();
                at.port() == backend.port() && (same_ip || any)
            })
        };
        self.backends().into_iter().find(is_itself)
    }

    /// Certificates and keys in PEM, each with its option.
    pub fn pems_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Pem)> {
        let backends = self.backend_tls.iter_mut();
        let cacert = backends.filter_map(|tls| tls.cacert.as_mut());
        let clients = self.tls.iter_mut().flat_map(TlsServer::pems_mut);
        clients.chain(cacert.map(|pem| ("--backend-cacert", pem)))
    }

    /// The files that a run reads, each with its option.
    pub fn files_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut PathBuf)> {
        self.pems_mut()
            .filter_map(|(option, pem)| Some((option, pem.file_mut()?)))
    }

    /// Whether any connection speaks TLS.
    pub fn speaks_tls(&self) -> bool {
        self.tls.is_some() || self.backend_tls.is_some()
    }

    /// The source addresses that were given.
    pub fn sources(&self) -> impl Iterator<Item = IpAddr> {
        self.source_ip.iter().flat_map(|range| range.addresses())
    }

    /// Whether it has to be found out who clients are.
    pub fn asks_who(&self) -> bool {
        self.transparent
            || self.to_original
            || self.send_proxy.is_some()
            || self.balance == Balance::SourceHash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::ListenAddress;

    #[test]
    fn a_backend_may_not_be_the_proxy_itself() {
        let leads = |listen: &str, to: &str| {
            let mut target = Target::new(crate::target::parse(to).unwrap());
            let to: SocketAddr = to.parse().unwrap();
            target.addresses.push(to);
            let proxy = ProxyScenario {
                listen: vec![ListenAddress(listen.parse().unwrap())],
                to: vec![target],
                ..ProxyScenario::default()
            };
            proxy.leads_to_itself() == Some(to)
        };
        assert!(leads("127.0.0.1:80", "127.0.0.1:80"));
        assert!(leads("[::]:80", "127.0.0.1:80"));
        assert!(leads("[::]:80", "[::1]:80"));
        assert!(!leads("127.0.0.1:80", "127.0.0.1:81"));
        assert!(!leads("127.0.0.1:80", "127.0.0.2:80"));
        assert!(!leads("[::]:80", "10.0.0.7:80"));
    }
}
