//! Resolves the names of hosts and services.

use crate::Failure;
use std::hash::{BuildHasher, RandomState};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use throng_core::address::{self, AddressError};
use throng_core::observer::Note;
use throng_core::scenario::{ListenAddress, LoadScenario};
use throng_core::target::{self, Port, Spec};
use throng_host::{names, services};

/// How long to wait for an answer when one of several addresses is tried.
const TRY_FOR: Duration = Duration::from_millis(300);

/// The address of `target`: if its name has several, one that this machine listens on, or else the first. Nothing is
/// sent to it.
pub(crate) fn resolve(target: &str) -> Result<SocketAddr, Failure> {
    let spec = target::parse(target).map_err(|e| Failure::usage(e.to_string()))?;
    let found = addresses(target, &spec)?;
    Ok(names::listened_on_here(&found).unwrap_or(found[0]))
}

/// Resolves the names of a load's targets, and draws the random seed unless one is given. Returns what is to be told
/// about that.
pub(crate) fn resolve_all(scenario: &mut LoadScenario) -> Result<Vec<Note>, Failure> {
    let mut notes = Vec::new();
    for target in &mut scenario.targets {
        let written = target.spec.to_string();
        let mut found = addresses(&written, &target.spec)?;
        let (at, tried) = one_of(&found);
        if let Tried::Connected { answered } = tried {
            notes.push(Note::Chosen {
                target: written,
                at,
                answered,
            });
        }
        found.retain(|other| *other != at);
        found.insert(0, at);
        target.addresses = found;
    }
    // The process's hasher has a seed from the system.
    scenario
        .seed
        .get_or_insert_with(|| RandomState::new().hash_one(0));
    Ok(notes)
}

/// Where to listen, in the order given.
pub(super) fn listen_on(places: &[String]) -> Result<Vec<ListenAddress>, Failure> {
    let all: Vec<_> = places
        .iter()
        .map(|at| listen(at))
        .collect::<Result<_, _>>()?;
    Ok(all.into_iter().flatten().collect())
}

/// `PORT`, or `HOST:PORT` with a name, which means all its addresses that this machine has, or an
/// address. A port alone takes IPv6 and IPv4.
fn listen(text: &str) -> Result<Vec<ListenAddress>, Failure> {
    if let Ok(at) = address::listen(text)
        && !matches!(at, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local())
    {
        return Ok(vec![ListenAddress(at)]);
    }
    let wrong = || Failure::usage(AddressError::Listen(text.to_owned()).to_string());
    let (host, port) = text
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
        .ok_or_else(wrong)?;
    let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(inner) => inner,
        None if host.contains([':', '[', ']']) => return Err(wrong()),
        None => host,
    };
    if host.is_empty() {
        return Err(wrong());
    }
    let found = names::addresses_here(host, port)
        .map_err(|e| Failure::usage(format!("can't listen on '{text}': {e}")))?;
    Ok(found.into_iter().map(ListenAddress).collect())
}

/// All addresses of `spec`, which the user wrote as `target`: at least one, without duplicates.
fn addresses(target: &str, spec: &Spec) -> Result<Vec<SocketAddr>, Failure> {
    let port = match &spec.port {
        Port::Number(port) => *port,
        Port::Service(name) => port_of(target, name)?,
    };
    names::addresses(&spec.host, port)
        .map_err(|e| Failure::usage(format!("target '{target}': {e}")))
}

fn port_of(target: &str, service: &str) -> Result<u16, Failure> {
    let wrong = |why: String| {
        Failure::usage(format!(
            "target '{target}': no port for service '{service}': {why}; write the port's number"
        ))
    };
    match services::tcp_port(service) {
        Ok(Some(port)) => Ok(port),
        Ok(None) => Err(wrong("/etc/services has no such TCP service".into())),
        Err(e) => Err(wrong(format!("/etc/services: {e}"))),
    }
}

/// The address to connect to. A name may have several (`localhost` has two), and a server need not listen on all:
/// the first that answers is used, or else the first. A single address is not tried beforehand, and neither is one that a
/// server of this machine listens on: it would count a connection that the run does not.
fn one_of(addresses: &[SocketAddr]) -> (SocketAddr, Tried) {
    let answers = |at: &&SocketAddr| TcpStream::connect_timeout(at, TRY_FOR).is_ok();
    if let [only] = addresses {
        return (*only, Tried::Nothing);
    }
    if let Some(here) = names::listened_on_here(addresses) {
        return (here, Tried::Nothing);
    }
    let found = addresses.iter().find(answers);
    let answered = found.is_some();
    (
        *found.unwrap_or(&addresses[0]),
        Tried::Connected { answered },
    )
}

/// How an address was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    /// Nothing was sent.
    Nothing,
    /// Connections were tried.
    Connected {
        /// Whether one was established.
        answered: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_name_with_several_addresses_stands_for_the_one_that_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let closed = TcpListener::bind("127.0.0.2:0")
            .unwrap()
            .local_addr()
            .unwrap();
        assert_eq!(one_of(&[closed, here]), (here, Tried::Nothing));
        // Nothing was opened to find that out.
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err());
        assert_eq!(one_of(&[closed]), (closed, Tried::Nothing));
        let unanswered = Tried::Connected { answered: false };
        assert_eq!(one_of(&[closed, closed]), (closed, unanswered));
    }

    #[test]
    fn places_to_listen_on_may_be_names_and_short_addresses() {
        let resolved = |text: &str| {
            let all = listen(text).unwrap();
            all.iter().map(|at| at.to_string()).collect::<Vec<_>>()
        };
        for (text, at) in [
            ("12345", "[::]:12345"),
            ("127.1:1231", "127.0.0.1:1231"),
            ("[::1]:9", "[::1]:9"),
        ] {
            assert_eq!(resolved(text), [at]);
        }
        assert!(resolved("localhost:9").contains(&"127.0.0.1:9".to_owned()));
        for text in [
            "",
            "x",
            ":",
            "127.0.0.1:",
            "127.0.0.1:x",
            "no.such.name.invalid:9",
            "::1:80",
            "[fe80::1]:80",
        ] {
            assert!(listen(text).is_err_and(|e| e.code == 2), "{text}");
        }
    }
}
