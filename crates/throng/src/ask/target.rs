//! Resolves the names of hosts and services.

use crate::Failure;
use std::hash::{BuildHasher, RandomState};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;
use throng_core::address::{self, AddressError};
use throng_core::observer::Note;
use throng_core::scenario::{
    Addresses, Connect, Family, HostAddress, ListenAddress, ListenPlace, LoadScenario, Resolve,
    Target,
};
use throng_core::target::{self, Port, Spec};
use throng_host::{names, services, unix_sockets};

/// How long to wait for an answer when one of several addresses is tried.
const TRY_FOR: Duration = Duration::from_millis(300);
/// The most addresses of a family that are tried.
const MOST_TRIED: usize = 3;

/// The address of `target`: if its name has several, one that this machine listens on, or else the first. Nothing is
/// sent to it.
pub(crate) fn resolve(target: &str) -> Result<SocketAddr, Failure> {
    let spec = target::parse(target).map_err(|e| Failure::usage(e.to_string()))?;
    if spec.unix.is_some() {
        return Err(Failure::usage(format!(
            "target '{spec}': a Unix socket has no address to plan for; `throng load` connects to it"
        )));
    }
    let found = addresses(&spec)?;
    Ok(names::listened_on_here(&found).unwrap_or(found[0]))
}

/// Resolves the names of a load's targets, and draws the random seed unless one is given. Returns what is to be told
/// about that.
pub(crate) fn resolve_all(scenario: &mut LoadScenario) -> Result<Vec<Note>, Failure> {
    let mut notes = Vec::new();
    let Connect {
        resolve,
        tunnel,
        unix_socket,
        ..
    } = &mut scenario.connect;
    let resolve = &*resolve;
    if unix_socket.is_some() {
        // It is where all connections go.
    } else if let Some(proxy) = tunnel {
        refuse_of_proxy(resolve, proxy)?;
        resolve_each(std::slice::from_mut(proxy), resolve, &mut notes)?;
        for target in &mut scenario.targets {
            target.addresses.clone_from(&proxy.addresses);
        }
    } else {
        resolve_each(&mut scenario.targets, resolve, &mut notes)?;
    }
    // The process's hasher has a seed from the system.
    scenario
        .seed
        .get_or_insert_with(|| RandomState::new().hash_one(0));
    Ok(notes)
}

/// Refuses, before the run, Unix sockets that this user can't connect to: no server can begin to listen on a file that is
/// there already, and a path that is not is most likely a wrong one. Names without a file are not looked for.
pub(crate) fn check_sockets(scenario: &LoadScenario) -> Result<(), Failure> {
    for socket in scenario.unix_sockets() {
        if let Some(path) = socket.path() {
            unix_sockets::check(Path::new(path))
                .map_err(|e| Failure::usage(format!("{path}: {e}")))?;
        }
    }
    Ok(())
}

/// Resolves the names of `targets`.
fn resolve_each(
    targets: &mut [Target],
    resolve: &Resolve,
    notes: &mut Vec<Note>,
) -> Result<(), Failure> {
    let ports = targets.iter().map(|target| port(&target.spec));
    let ports: Vec<u16> = ports.collect::<Result<_, _>>()?;
    let hosts = targets.iter().map(|target| &target.spec.host);
    refuse_unused(resolve, &hosts.zip(&ports).collect::<Vec<_>>())?;
    for (target, port) in targets.iter_mut().zip(ports) {
        if target.spec.unix.is_some() {
            continue;
        }
        let (host, at_port) = resolve.destination(&target.spec.host, port);
        let found = asked_for(&target.spec, (host, at_port), resolve)?;
        let written = match resolve.redirection(&target.spec.host, port) {
            None => target.spec.to_string(),
            Some(_) => authority(host, at_port),
        };
        target.addresses = match resolve.addresses {
            _ if found.len() == 1 => found,
            Addresses::All => found,
            Addresses::First => vec![first(written, &found, notes)],
            Addresses::Answering => answering(written, found, notes),
        };
    }
    Ok(())
}

/// Refuses addresses given for another host than `proxy`, through whose tunnels all connections go.
fn refuse_of_proxy(resolve: &Resolve, proxy: &Target) -> Result<(), Failure> {
    let port = port(&proxy.spec)?;
    let is_for = |given: &&HostAddress| given.is_for(&proxy.spec.host, port);
    match resolve.hosts.iter().find(|given| !is_for(given)) {
        Some(given) => Err(Failure::usage(format!(
            "--resolve {given} has no effect: connections go to the proxy {}, which looks up the names of targets itself",
            authority(&proxy.spec.host, port)
        ))),
        None => Ok(()),
    }
}

/// Refuses what is said of hosts and ports that no target has: it would have no effect.
fn refuse_unused(resolve: &Resolve, targets: &[(&String, &u16)]) -> Result<(), Failure> {
    let redirected = |(host, port): &(&String, &u16)| resolve.redirection(host, **port);
    for (at, to) in resolve.connect_to.iter().enumerate() {
        if targets.iter().any(|target| redirected(target) == Some(at)) {
            continue;
        }
        let earlier = targets
            .iter()
            .filter(|(host, port)| to.is_for(host, **port));
        return Err(Failure::usage(
            match earlier.filter_map(redirected).next() {
                Some(first) => format!(
                    "--connect-to {to} has no effect: --connect-to {} is before it, and about the same target",
                    resolve.connect_to[first]
                ),
                None => format!("--connect-to {to}: no target has that host and port"),
            },
        ));
    }
    for given in &resolve.hosts {
        let is_for = |(host, port): &(&String, &u16)| {
            let (host, port) = resolve.destination(host, **port);
            given.is_for(host, port)
        };
        if !targets.iter().any(is_for) {
            let led_to = match resolve.connect_to.is_empty() {
                true => "no target is",
                false => "no connection goes to",
            };
            return Err(Failure::usage(format!(
                "--resolve {given}: {led_to} {}",
                authority(&given.host, given.port)
            )));
        }
    }
    Ok(())
}

/// The addresses of `host` and `port`, where connections of the target `spec` go, among which `resolve` lets choose: at
/// least one.
fn asked_for(
    spec: &Spec,
    (host, port): (&str, u16),
    resolve: &Resolve,
) -> Result<Vec<SocketAddr>, Failure> {
    let given = resolve.hosts.iter().filter(|h| h.is_for(host, port));
    let given = given.flat_map(|h| h.addresses.iter().map(|ip| (*ip, port).into()));
    let mut found: Vec<SocketAddr> = given.collect();
    if found.is_empty() {
        found = names::addresses(host, port)
            .map_err(|e| Failure::usage(format!("target '{spec}': {e}")))?;
    }
    if let Some(family) = resolve.family {
        found.retain(|at| Family::of(at) == family);
        if found.is_empty() {
            return Err(Failure::usage(format!(
                "target '{spec}': '{host}' has no {} address",
                family.name()
            )));
        }
    }
    Ok(found)
}

/// Host and port as they are written in a target.
fn authority(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// One of several addresses: see [`one_of`].
fn first(target: String, found: &[SocketAddr], notes: &mut Vec<Note>) -> SocketAddr {
    let (at, tried) = one_of(found);
    if let Tried::Connected { answered } = tried {
        notes.push(Note::Chosen {
            target,
            at,
            answered,
        });
    }
    at
}

/// The addresses of a name without those of a family none of which is answered, if those of the other are: `localhost`
/// has two, and a server need not listen on both. Where a name has addresses of one family, or where a server of this
/// machine listens on them, nothing is sent to find that out.
fn answering(target: String, found: Vec<SocketAddr>, notes: &mut Vec<Note>) -> Vec<SocketAddr> {
    let (v4, v6): (Vec<_>, Vec<_>) = found.iter().partition(|at| at.is_ipv4());
    if v4.is_empty() || v6.is_empty() {
        return found;
    }
    let mut connections = 0;
    let mut answers = |family: &[SocketAddr]| {
        if names::listened_on_here(family).is_some() {
            return true;
        }
        let answered = family.iter().take(MOST_TRIED).any(is_answered);
        connections += usize::from(answered);
        answered
    };
    let (by_v4, by_v6) = (answers(&v4), answers(&v6));
    if connections > 0 {
        notes.push(Note::Tried {
            target: target.clone(),
            connections,
        });
    }
    let silent = match (by_v4, by_v6) {
        (true, false) => v6,
        (false, true) => v4,
        _ => return found,
    };
    let kept = found
        .into_iter()
        .filter(|at| !silent.contains(at))
        .collect();
    notes.push(Note::LeftOut {
        target,
        addresses: silent,
    });
    kept
}

fn is_answered(at: &SocketAddr) -> bool {
    TcpStream::connect_timeout(at, TRY_FOR).is_ok()
}

/// The backends of a proxy, not resolved yet.
pub(crate) fn backends(written: &[String]) -> Result<Vec<Target>, Failure> {
    let backend = |text: &String| {
        let target = Target::try_from(text.clone());
        target.map_err(|e| {
            Failure::usage(match e {
                // It names a URL as an example, which a backend can't be.
                AddressError::Target(text) => format!(
                    "--to: '{}' is no backend; write HOST:PORT, such as 10.0.0.7:80 or [::1]:80",
                    text.escape_debug()
                ),
                e => format!("--to: {e}"),
            })
        })
    };
    written.iter().map(backend).collect()
}

/// Resolves the names of backends. Returns what is to be told about that.
pub(crate) fn resolve_backends(backends: &mut [Target]) -> Result<Vec<Note>, Failure> {
    let mut notes = Vec::new();
    resolve_each(backends, &Resolve::default(), &mut notes)?;
    Ok(notes)
}

/// Where to listen, in the order given.
pub(crate) fn listen_on(places: &[String]) -> Result<Vec<ListenAddress>, Failure> {
    let all: Vec<_> = places
        .iter()
        .map(|at| listen(at))
        .collect::<Result<_, _>>()?;
    Ok(all.into_iter().flatten().collect())
}

/// Where a server listens, in the order given: the same, or Unix sockets.
pub(crate) fn serve_on(places: &[String]) -> Result<Vec<ListenPlace>, Failure> {
    let mut all = Vec::new();
    for text in places {
        match ListenPlace::unix(text) {
            Some(place) => all.push(place.map_err(|e| Failure::usage(e.to_string()))?),
            None => all.extend(listen(text)?.into_iter().map(|at| at.0.into())),
        }
    }
    Ok(all)
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

/// All addresses of `spec`: at least one, without duplicates.
fn addresses(spec: &Spec) -> Result<Vec<SocketAddr>, Failure> {
    names::addresses(&spec.host, port(spec)?)
        .map_err(|e| Failure::usage(format!("target '{spec}': {e}")))
}

fn port(spec: &Spec) -> Result<u16, Failure> {
    match &spec.port {
        Port::Number(port) => Ok(*port),
        Port::Service(name) => port_of(&spec.to_string(), name),
    }
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
    if let [only] = addresses {
        return (*only, Tried::Nothing);
    }
    if let Some(here) = names::listened_on_here(addresses) {
        return (here, Tried::Nothing);
    }
    let found = addresses.iter().find(|at| is_answered(at));
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
    fn a_family_that_is_not_answered_is_left_out_and_a_dead_address_is_not() {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let [v4, dead, v6] =
            ["127.0.0.1", "127.0.0.2", "::1"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port));
        let kept = |found: &[SocketAddr]| {
            let mut notes = Vec::new();
            let kept = answering("two".into(), found.to_vec(), &mut notes);
            (kept, notes)
        };
        // None of both is answered: which is right is not known.
        assert_eq!(kept(&[v6, v4]), (vec![v6, v4], vec![]));
        let listener = TcpListener::bind(v4).unwrap();
        let left_out = Note::LeftOut {
            target: "two".into(),
            addresses: vec![v6],
        };
        assert_eq!(kept(&[v6, v4, dead]), (vec![v4, dead], vec![left_out]));
        assert_eq!(kept(&[v4, dead]), (vec![v4, dead], vec![]));
        // Nothing was opened to find that out.
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err());
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
