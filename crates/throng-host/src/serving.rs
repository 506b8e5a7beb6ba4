//! What serves the targets of a run on this machine: which listeners, how full their queues are, which processes. And
//! what the kernel shows of the connections to them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, TCP_TIME_WAIT};
use netlink_packet_sock_diag::inet::{InetResponseHeader, SocketId, StateFlags, Timer};
use throng_core::address::destination;
use throng_core::diagnosis::{Listening, Queue, Target};
use throng_core::host::Process;
use throng_core::unix_socket::Endpoint;

use crate::addresses::is_local;
use crate::listen::AcceptQueueProbe;
use crate::processes;
use crate::sock_diag::{SockDiag, socket_id};

/// Connections to a target by which its server is looked for. Destination NAT may lead each to another one; the first
/// that is found counts.
const SAMPLES: usize = 16;
/// Data that was sent again this many times without an acknowledgement is not just lost. The kernel waits 0.2 s or more, and
/// twice as long each time.
const RESENT: u8 = 2;

/// What is seen of each of `targets` now, the processes of their servers included, but for the process `except`. Their
/// four-tuples are left out.
///
/// # Errors
/// A sandbox forbids netlink sockets, or the kernel lacks `tcp_diag`.
pub fn see(targets: &[SocketAddr], except: Option<u32>) -> io::Result<Vec<Target>> {
    let mut all = connections(targets)?;
    let mut probe = AcceptQueueProbe::open()?;
    for target in &mut all {
        if let Some(at) = target.served_at {
            target.listeners = probe.queues(at)?;
        }
    }
    let listeners = || all.iter().flat_map(|t| &t.listeners);
    let inodes: HashSet<u64> = listeners().map(|l| l.inode).collect();
    let found = processes::accepting(&inodes, except);
    for listener in all.iter_mut().flat_map(|t| &mut t.listeners) {
        listener.processes = found.get(&listener.inode).cloned().unwrap_or_default();
    }
    Ok(all)
}

/// The sockets that listen at `address`, with what they have dropped since; without their processes.
///
/// # Errors
/// Those of [`see`].
pub fn listening(address: SocketAddr) -> io::Result<Vec<Listening>> {
    AcceptQueueProbe::open()?.queues(address)
}

/// The packets that each listener at `targets` has dropped so far, by the inode of its socket.
///
/// # Errors
/// Those of [`see`].
pub fn drops(targets: &[SocketAddr]) -> io::Result<HashMap<u64, u64>> {
    let mut probe = AcceptQueueProbe::open()?;
    let mut found = HashMap::new();
    for target in targets {
        let listeners = probe.queues(*target)?;
        found.extend(listeners.into_iter().map(|l| (l.inode, l.dropped)));
    }
    Ok(found)
}

/// The accept queues of listeners on this machine at `targets` in which connections of ours wait for certain, with the
/// least number of those. The sum over a SO_REUSEPORT group is one queue; a listener that serves several targets is
/// counted for the first. We have `open` connections to all `targets` together. Whose connections wait is not visible, but
/// those of others that were accepted or wait are at most all there are less ours.
///
/// Without waiting connections this takes some lookups; else it reads all sockets.
///
/// # Errors
/// Those of [`see`].
pub fn unaccepted(targets: &[SocketAddr], open: u64) -> io::Result<Vec<Queue>> {
    let mut probe = AcceptQueueProbe::open()?;
    let mut counted = HashSet::new();
    let mut waiting = Vec::new();
    let (mut here, mut elsewhere) = (HashSet::new(), HashSet::new());
    for target in targets {
        let mut listeners = probe.queues(*target)?;
        match listeners.is_empty() {
            true => elsewhere.insert(plain(destination(*target))),
            false => here.insert(plain(destination(*target))),
        };
        listeners.retain(|l| counted.insert(l.inode));
        let sum = |of: fn(&Queue) -> u32| {
            let all = listeners.iter().map(|l| of(&l.queue));
            all.fold(0, u32::saturating_add)
        };
        let queue = Queue {
            target: Endpoint::Address(*target),
            waiting: sum(|q| q.waiting),
            limit: sum(|q| q.limit),
        };
        waiting.extend((queue.waiting > 0).then_some(queue));
    }
    if waiting.is_empty() {
        return Ok(waiting);
    }
    let ports: HashSet<u16> = here.iter().map(SocketAddr::port).collect();
    let (mut served, mut remote) = (0, 0);
    each(&mut SockDiag::open()?, connected(), |socket| {
        let (near, far) = ends(socket);
        // A client's own port may be the same as a server's, so this may count too many, which only lowers the result.
        served += u64::from(ports.contains(&near.port()));
        remote += u64::from(elsewhere.contains(&far));
    })?;
    let mut others = served.saturating_sub(open.saturating_sub(remote));
    waiting.retain_mut(|queue| {
        let theirs = others.min(queue.waiting.into());
        others -= theirs;
        queue.waiting -= theirs as u32;
        queue.waiting > 0
    });
    Ok(waiting)
}

/// Connections of this namespace to `targets`, as far as they are open at their client's end alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HalfOpen {
    /// Their near ends.
    pub alone: HashSet<SocketAddr>,
    /// Those of them for which the server's kernel waits for the end of the handshake.
    pub unfinished: HashSet<SocketAddr>,
    /// How many connections to `targets` there are, of whichever program; 0 if none is alone.
    pub connections: u64,
}

/// Connections to `targets` that are open at the client's end alone. If their other ends are known to be `here`, in this
/// namespace, those are found that no longer have one, or whose server has closed it; else only those whose server's kernel
/// waits for the end of the handshake.
///
/// Where no handshake waits, and the other ends need not be here, this goes through all sockets once, else several times.
///
/// # Errors
/// The kernel does not list its sockets (`NETLINK_SOCK_DIAG`).
pub fn half_open(targets: &[SocketAddr], here: bool) -> io::Result<HalfOpen> {
    let mut diag = SockDiag::open()?;
    let begun = begun(&mut diag)?;
    let mut found = HalfOpen::default();
    if begun.is_empty() && !here {
        return Ok(found);
    }
    let targets: HashSet<SocketAddr> = targets.iter().map(|t| plain(destination(*t))).collect();
    each(&mut diag, StateFlags::ESTABLISHED, |socket| {
        let (near, far) = ends(socket);
        // One that is its own other end is no half: see `to_themselves`.
        if targets.contains(&far) && near != far {
            found.connections += 1;
            if begun.contains(&near) {
                found.unfinished.insert(near);
            }
            if here || begun.contains(&near) {
                found.alone.insert(near);
            }
        }
    })?;
    if here {
        each(&mut diag, connected(), |socket| {
            found.alone.remove(&ends(socket).1);
        })?;
    }
    Ok(found)
}

/// Connections of this namespace to targets on which what was sent is not delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stuck {
    /// By their near ends.
    pub waiting: HashMap<SocketAddr, Waiting>,
    /// How many connections to the targets there are, of whichever program.
    pub connections: u64,
}

/// What waits on a connection that delivers nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Bytes that were written to the socket and not acknowledged.
    pub bytes: u32,
    /// How many times the kernel has sent to the peer again without an acknowledgement; 0 if the peer has no room for more.
    pub resent: u8,
}

/// Connections to `targets` whose peer acknowledges nothing, although data was sent to it again and again, or has no room
/// for more. A peer that reads slowly has none at times, too: only one that still has none later does not read.
///
/// This goes through all connections once.
///
/// # Errors
/// The kernel does not list its sockets (`NETLINK_SOCK_DIAG`).
pub fn stuck(targets: &[SocketAddr]) -> io::Result<Stuck> {
    let targets: HashSet<SocketAddr> = targets.iter().map(|t| plain(destination(*t))).collect();
    let mut found = Stuck::default();
    let mut diag = SockDiag::open()?;
    for family in [AF_INET, AF_INET6] {
        diag.each_with_room(family, connected(), |socket, room| {
            let (near, far) = ends(socket);
            if !targets.contains(&far) {
                return;
            }
            found.connections += 1;
            let bytes = socket.send_queue;
            let resent = match socket.timer {
                Some(Timer::Retransmit(_, n)) if n >= RESENT => n,
                // What this machine itself drops is sent again by probes, too.
                Some(Timer::Probe(_)) => match room {
                    Some(room) if room.window >= bytes.min(room.segment) => room.probes,
                    _ => 0,
                },
                _ => return,
            };
            if bytes > 0 {
                found.waiting.insert(near, Waiting { bytes, resent });
            }
        })?;
    }
    Ok(found)
}

/// What was sent to targets and not read, as far as this machine's kernel has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Bytes that peers have not acknowledged, and those that wait at the far ends of connections on this machine.
    pub bytes: u64,
    /// How many connections to the targets there are, of whichever program.
    pub connections: u64,
}

/// What was sent to `targets` and not read yet. Of peers on other machines only what they have not acknowledged is known.
///
/// This goes through all connections twice.
///
/// # Errors
/// The kernel does not list its sockets (`NETLINK_SOCK_DIAG`).
pub fn unread(targets: &[SocketAddr]) -> io::Result<Unread> {
    let targets: HashSet<SocketAddr> = targets.iter().map(|t| plain(destination(*t))).collect();
    let mut found = Unread::default();
    let mut near_ends = HashSet::new();
    let mut diag = SockDiag::open()?;
    each(&mut diag, connected(), |socket| {
        let (near, far) = ends(socket);
        if targets.contains(&far) {
            found.bytes += u64::from(socket.send_queue);
            near_ends.insert(near);
        }
    })?;
    found.connections = near_ends.len() as u64;
    // Destination NAT may have led them elsewhere.
    each(&mut diag, connected(), |socket| {
        if near_ends.contains(&ends(socket).1) {
            found.bytes += u64::from(socket.recv_queue);
        }
    })?;
    Ok(found)
}

/// Those of `targets` that are connected to themselves. Where nothing listens, the kernel may choose the target's own port
/// as the local one, and then both ends of the connection are one socket (RFC 9293, 3.5, simultaneous open). Whose it is
/// can't be seen.
///
/// # Errors
/// Those of [`see`].
pub fn to_themselves(targets: &[SocketAddr]) -> io::Result<Vec<SocketAddr>> {
    let mut diag = SockDiag::open()?;
    let mut found = Vec::new();
    for target in targets {
        let at = plain(destination(*target));
        let id = SocketId {
            destination_port: at.port(),
            destination_address: at.ip(),
            ..socket_id(destination(*target))
        };
        let family = if at.is_ipv4() { AF_INET } else { AF_INET6 };
        match diag.ask(family, id, None) {
            Ok(sockets) => {
                let itself = sockets.iter().any(|socket| ends(socket) == (at, at));
                found.extend(itself.then_some(*target));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(found)
}

/// Whether `process` still runs.
#[must_use]
pub fn runs(process: &Process) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid));
    stat.is_ok_and(|stat| !processes::has_ended(&stat))
}

/// Whether `process` is stopped, by a signal or by a debugger. A debugger that only traces it stops it for moments.
#[must_use]
pub fn is_stopped(process: &Process) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid));
    stat.is_ok_and(|stat| processes::is_stopped(&stat))
}

/// What is seen of connections to `targets`. Reads all sockets, and keeps a few.
fn connections(targets: &[SocketAddr]) -> io::Result<Vec<Target>> {
    let mut all: Vec<Target> = targets.iter().copied().map(Target::at).collect();
    let places: HashMap<SocketAddr, usize> = targets
        .iter()
        .enumerate()
        .map(|(place, target)| (plain(destination(*target)), place))
        .collect();
    // Our ends of a few connections, with the target of each.
    let mut samples: HashMap<SocketAddr, usize> = HashMap::new();
    let mut sampled = vec![0; targets.len()];
    // Our ends of those that are sent again, with the target of each.
    let mut resent = HashMap::new();
    let mut diag = SockDiag::open()?;
    let begun = begun(&mut diag)?;
    for family in [AF_INET, AF_INET6] {
        diag.each_with_room(family, connected(), |socket, room| {
            let (ours, peer) = ends(socket);
            let Some(&place) = places.get(&peer) else {
                return;
            };
            let target = &mut all[place];
            target.established += 1;
            let is_resent = matches!(socket.timer, Some(Timer::Retransmit(_, n)) if n >= RESENT);
            if begun.contains(&ours) {
                target.unfinished += 1;
            } else if is_resent {
                // The first byte that is acknowledged is the SYN.
                target.heard_before += u64::from(room.is_some_and(|room| room.acknowledged > 1));
                resent.insert(ours, peer);
            }
            if sampled[place] < SAMPLES {
                sampled[place] += 1;
                samples.insert(ours, place);
            }
        })?;
    }
    without_far_end(&mut diag, &mut resent, |target, is_without| {
        let target = &mut all[places[&target]];
        match is_without {
            true => target.unfinished += 1,
            false => target.unacknowledged += 1,
        }
    })?;
    let states =
        connected() | StateFlags::FIN_WAIT1 | StateFlags::FIN_WAIT2 | StateFlags::TIME_WAIT;
    let mut end_here: HashSet<usize> = HashSet::new();
    each(&mut diag, states, |socket| {
        let (ours, peer) = ends(socket);
        if let Some(&place) = samples.get(&peer)
            && socket.state != TCP_TIME_WAIT
        {
            all[place].served_at.get_or_insert(ours);
        }
        end_here.extend(places.get(&ours));
    })?;
    for target in &mut all {
        let place = places[&plain(destination(target.address))];
        // Without a connection the server is where the address says. It also is if others end there: the kernel may keep
        // nothing of the first ones at that end, where it drops the ends of handshakes.
        let is_here = sampled[place] == 0 && is_local(target.address) || end_here.contains(&place);
        if target.served_at.is_none() && is_here {
            target.served_at = Some(destination(target.address));
        }
    }
    let mut served: HashMap<SocketAddr, u64> = all
        .iter()
        .filter_map(|target| Some((plain(target.served_at?), 0)))
        .collect();
    each(&mut diag, connected(), |socket| {
        if let Some(n) = served.get_mut(&ends(socket).0) {
            *n += 1;
        }
    })?;
    for target in &mut all {
        let at = target.served_at.map(plain);
        target.served = at.and_then(|at| served.get(&at).copied());
    }
    Ok(all)
}

/// Of connections of this namespace with these near ends, on which the peer acknowledges nothing, those whose handshake their server's
/// kernel has not completed, where it is in this namespace, too: it waits for the end of the handshake, or keeps nothing of it, as
/// with SYN cookies. It drops the ends of handshakes while the accept queue is full.
///
/// # Errors
/// The kernel does not list its sockets (`NETLINK_SOCK_DIAG`).
pub fn unfinished(
    targets: &[SocketAddr],
    near: impl Fn(&SocketAddr) -> bool,
) -> io::Result<HashSet<SocketAddr>> {
    let targets: HashSet<SocketAddr> = targets.iter().map(|t| plain(destination(*t))).collect();
    let mut diag = SockDiag::open()?;
    let mut found = begun(&mut diag)?;
    let mut asked = HashMap::new();
    each(&mut diag, connected(), |socket| {
        let (ours, peer) = ends(socket);
        if targets.contains(&peer) && near(&ours) && !found.contains(&ours) {
            asked.insert(ours, peer);
        }
    })?;
    without_far_end(&mut diag, &mut asked, |_, _| {})?;
    found.extend(asked.into_keys());
    Ok(found)
}

/// Leaves those connections in `near` (near ends, each with its target) that have no other end in this namespace, although the
/// target's connections end here. Calls `visit` for each of all with its target, and whether it is left.
fn without_far_end(
    diag: &mut SockDiag,
    near: &mut HashMap<SocketAddr, SocketAddr>,
    mut visit: impl FnMut(SocketAddr, bool),
) -> io::Result<()> {
    if near.is_empty() {
        return Ok(());
    }
    let targets: HashSet<SocketAddr> = near.values().copied().collect();
    let (mut served, mut with) = (HashSet::new(), HashSet::new());
    let states = connected()
        | StateFlags::FIN_WAIT1
        | StateFlags::FIN_WAIT2
        | StateFlags::CLOSING
        | StateFlags::LAST_ACK
        | StateFlags::TIME_WAIT;
    each(diag, states, |socket| {
        let (ours, peer) = ends(socket);
        if targets.contains(&ours) {
            served.insert(ours);
        }
        // One in TIME_WAIT is the other end of an earlier connection from that port.
        if socket.state != TCP_TIME_WAIT && near.contains_key(&peer) {
            with.insert(peer);
        }
    })?;
    near.retain(|end, target| {
        let is_without = served.contains(target) && !with.contains(end);
        visit(*target, is_without);
        is_without
    });
    Ok(())
}

/// The clients' ends of connections whose handshake has not ended at the server's end, in this namespace.
fn begun(diag: &mut SockDiag) -> io::Result<HashSet<SocketAddr>> {
    let mut begun = HashSet::new();
    each(diag, StateFlags::SYN_RECV, |socket| {
        begun.insert(ends(socket).1);
    })?;
    Ok(begun)
}

/// The states of an established connection: one that the peer has closed still is.
fn connected() -> StateFlags {
    StateFlags::ESTABLISHED | StateFlags::CLOSE_WAIT
}

/// Calls `visit` for each connection of this namespace in one of `states`.
fn each(
    diag: &mut SockDiag,
    states: StateFlags,
    mut visit: impl FnMut(&InetResponseHeader),
) -> io::Result<()> {
    let any = socket_id(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    for family in [AF_INET, AF_INET6] {
        diag.each(family, any.clone(), states.clone(), |socket| visit(&socket))?;
    }
    Ok(())
}

/// The near and the far end of a connection.
fn ends(socket: &InetResponseHeader) -> (SocketAddr, SocketAddr) {
    let id = &socket.socket_id;
    (
        (id.source_address.to_canonical(), id.source_port).into(),
        (id.destination_address.to_canonical(), id.destination_port).into(),
    )
}

/// An address without what only IPv6 sockets have.
fn plain(address: SocketAddr) -> SocketAddr {
    (address.ip(), address.port()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::{Server, inside, shell};
    use rustix::process::{Pid, Signal, kill_process};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    #[test]
    fn connections_without_the_end_of_their_handshake_are_open_at_one_end_alone() {
        let test = "serving::tests::connections_without_the_end_of_their_handshake_are_open_at_one_end_alone";
        if !inside(test, "") {
            return;
        }
        let listener = TcpListener::bind("0.0.0.0:4000").unwrap();
        let targets = ["127.0.0.1:4000".parse().unwrap()];
        let _whole = TcpStream::connect(targets[0]).unwrap();
        let found = |here| {
            let found = half_open(&targets, here).unwrap();
            assert!(found.unfinished.is_subset(&found.alone), "{found:?}");
            (found.alone.len(), found.connections)
        };
        assert_eq!((found(false), found(true)), ((0, 0), (0, 1)));
        shell(
            "nft 'table ip t { chain o { type filter hook output priority 0;
             tcp dport 4000 tcp flags & (fin|syn|rst|ack) == ack drop; }; }'",
        );
        let _half: Vec<_> = (0..5)
            .map(|_| TcpStream::connect(targets[0]).unwrap())
            .collect();
        assert_eq!((found(false), found(true)), ((5, 6), (5, 6)));
        // The server's kernel asks again, and gets an answer.
        shell("nft flush ruleset");
        let until = Instant::now() + Duration::from_secs(20);
        while found(false).0 > 0 {
            assert!(Instant::now() < until, "{:?}", found(false));
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(found(true), (0, 6));
        // A server closes, and nobody hears of it.
        let (closed, _) = listener.accept().unwrap();
        shell(
            "nft 'table ip t { chain o { type filter hook output priority 0;
             tcp sport 4000 tcp flags & fin == fin drop; }; }'",
        );
        drop(closed);
        assert_eq!((found(false).0, found(true).0), (0, 1));
    }

    #[test]
    fn a_server_that_has_closed_all_others_is_known_by_what_waits_out_their_ends() {
        let test = "serving::tests::a_server_that_has_closed_all_others_is_known_by_what_waits_out_their_ends";
        if !inside(test, "sysctl -qw net.ipv4.tcp_syncookies=2") {
            return;
        }
        let listener = TcpListener::bind("0.0.0.0:4000").unwrap();
        let targets = ["127.0.0.1:4000".parse().unwrap()];
        let waited_out = TcpStream::connect(targets[0]).unwrap();
        drop(listener.accept().unwrap());
        drop(waited_out);
        // The ends of these handshakes are lost, and with cookies the server's kernel has nothing of them.
        shell(
            "nft 'table ip t { chain i { type filter hook input priority 0;
             tcp dport 4000 tcp flags & (fin|syn|rst|ack) == ack drop; }; }'",
        );
        let mut all: Vec<_> = (0..3)
            .map(|_| TcpStream::connect(targets[0]).unwrap())
            .collect();
        for client in &mut all {
            client.write_all(b"hello").unwrap();
        }
        let until = Instant::now() + Duration::from_secs(20);
        let seen = loop {
            let seen = connections(&targets).unwrap().remove(0);
            if seen.unfinished == 3 || Instant::now() > until {
                break seen;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let known = (seen.unfinished, seen.unacknowledged, seen.served_at);
        assert_eq!(known, (3, 0, Some(targets[0])), "{seen:?}");
    }

    #[test]
    fn a_handshake_of_which_the_server_keeps_nothing_is_unfinished_and_a_silent_path_is_not() {
        let test = "serving::tests::a_handshake_of_which_the_server_keeps_nothing_is_unfinished_and_a_silent_path_is_not";
        if !inside(
            test,
            "sysctl -qw net.core.somaxconn=1 net.ipv4.tcp_syncookies=2",
        ) {
            return;
        }
        // All handshakes are answered with cookies. The ends of three are lost, and then the accept queue, which has room for two, is
        // full.
        let listener = TcpListener::bind("0.0.0.0:4000").unwrap();
        let targets = ["127.0.0.1:4000".parse().unwrap()];
        let connect = |n| (0..n).map(|_| TcpStream::connect(targets[0]).unwrap());
        shell(
            "nft 'table ip t { chain o { type filter hook output priority 0;
             tcp dport 4000 tcp flags & (fin|syn|rst|ack) == ack drop; }; }'",
        );
        let mut all: Vec<_> = connect(3).collect();
        shell("nft flush ruleset");
        all.extend(connect(2));
        for client in &mut all {
            client.write_all(b"hello").unwrap();
        }
        let until = Instant::now() + Duration::from_secs(20);
        let (seen, stuck) = loop {
            let seen = connections(&targets).unwrap().remove(0);
            let stuck = stuck(&targets).unwrap().waiting;
            if seen.unfinished > 0 || Instant::now() > until {
                break (seen, stuck);
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        assert_eq!((seen.unfinished, seen.unacknowledged), (3, 0), "{seen:?}");
        let ends = unfinished(&targets, |near| stuck.contains_key(near)).unwrap();
        assert_eq!(ends.len(), 3);
        // What an accepted one sends is lost: its other end is there.
        shell(
            "nft 'table ip t { chain i { type filter hook input priority 0; tcp dport 4000 drop; }; }'",
        );
        let (_accepted, peer) = listener.accept().unwrap();
        let mut talks = all
            .iter()
            .find(|client| client.local_addr().unwrap() == peer)
            .unwrap();
        talks.write_all(b"hello").unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while !super::stuck(&targets).unwrap().waiting.contains_key(&peer) {
            assert!(Instant::now() < until);
            std::thread::sleep(Duration::from_millis(50));
        }
        let seen = connections(&targets).unwrap().remove(0);
        assert_eq!((seen.unfinished, seen.unacknowledged), (3, 1), "{seen:?}");
    }

    #[test]
    fn connections_of_others_in_an_accept_queue_are_not_taken_for_ours() {
        let test =
            "serving::tests::connections_of_others_in_an_accept_queue_are_not_taken_for_ours";
        if !inside(test, "") {
            return;
        }
        let listener = TcpListener::bind("0.0.0.0:4000").unwrap();
        let targets = ["127.0.0.1:4000", "127.0.0.2:4000"].map(|t| t.parse().unwrap());
        let _clients: Vec<_> = (0..10)
            .map(|n| TcpStream::connect(targets[n % 2]).unwrap())
            .collect();
        let waiting = |open| {
            let all = unaccepted(&targets, open).unwrap();
            let all = all.iter().map(|q| (q.target.clone(), q.waiting));
            all.collect::<Vec<_>>()
        };
        // One listener has one queue.
        assert_eq!(waiting(10), [(targets[0].into(), 10)]);
        let accepted: Vec<_> = (0..4).map(|_| listener.accept().unwrap()).collect();
        assert_eq!(waiting(10), [(targets[0].into(), 6)]);
        // Of eight connections that are ours, two at most may be among the four that were accepted of ten.
        assert_eq!(waiting(8), [(targets[0].into(), 4)]);
        assert_eq!(waiting(4), []);
        drop(accepted);
        let _accepted: Vec<_> = (0..6).map(|_| listener.accept().unwrap()).collect();
        assert_eq!(waiting(6), []);
    }

    #[test]
    fn a_server_is_found_behind_destination_nat_with_its_process() {
        let test = "serving::tests::a_server_is_found_behind_destination_nat_with_its_process";
        if !inside(test, "ip addr add 10.9.9.9/32 dev lo") {
            return;
        }
        let server = Server::start("");
        shell(&format!(
            "nft 'table ip t {{ chain o {{ type nat hook output priority -100;
             ip daddr 10.9.9.9 tcp dport 4000 dnat to {}; }}; }}'",
            server.address
        ));
        let target: SocketAddr = "10.9.9.9:4000".parse().unwrap();
        let _client = TcpStream::connect(target).unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let targets = [target, other.local_addr().unwrap()];
        let seen = see(&targets, Some(std::process::id())).unwrap();
        assert_eq!(seen[0].served_at, Some(server.address), "{seen:?}");
        let [listening] = seen[0].listeners.as_slice() else {
            panic!("{seen:?}")
        };
        assert_eq!(listening.queue.waiting, 1, "{seen:?}");
        let pid = |p: &Process| p.pid;
        let pids: Vec<u32> = listening.processes.iter().map(pid).collect();
        assert_eq!(pids, [server.child.id()]);
        let process = listening.processes[0].clone();
        assert!(runs(&process) && !is_stopped(&process));
        // Without connections it is where the address says.
        assert_eq!(seen[1].served_at, Some(targets[1]));
        assert_eq!(seen[1].listeners[0].processes, []);
        let pid = Pid::from_child(&server.child);
        kill_process(pid, Signal::STOP).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while !is_stopped(&process) {
            assert!(Instant::now() < until);
        }
        assert!(runs(&process));
        drop(server);
        assert!(!runs(&process) && !is_stopped(&process));
    }

    #[test]
    fn a_connection_to_itself_is_found_and_one_to_a_listener_is_none() {
        let test = "serving::tests::a_connection_to_itself_is_found_and_one_to_a_listener_is_none";
        if !inside(
            test,
            "sysctl -qw net.ipv4.ip_local_port_range='40000 40001'",
        ) {
            return;
        }
        let targets = ["127.0.0.1:40000", "127.0.0.1:40001", "[::1]:40000"];
        let targets = targets.map(|t| t.parse().unwrap());
        assert_eq!(to_themselves(&targets).unwrap(), []);
        // Of two ports, the kernel chooses the right one soon.
        let itself = (0..1000).find_map(|_| TcpStream::connect(targets[0]).ok());
        let itself = itself.expect("a connection to itself");
        assert_eq!(itself.local_addr().unwrap(), targets[0]);
        let listener = TcpListener::bind(targets[2]).unwrap();
        let _other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(to_themselves(&targets).unwrap(), [targets[0]]);
    }

    #[test]
    fn what_the_far_end_has_not_read_is_counted() {
        let test = "serving::tests::what_the_far_end_has_not_read_is_counted";
        if !inside(test, "") {
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:4000").unwrap();
        let targets = [listener.local_addr().unwrap()];
        let mut client = TcpStream::connect(targets[0]).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        // What the server sends is not what is asked about.
        server.write_all(&[0; 7]).unwrap();
        client.write_all(&[0; 1000]).unwrap();
        // What is on its way is at neither end, or at both.
        let settles = |bytes| {
            let expected = Unread {
                bytes,
                connections: 1,
            };
            let until = Instant::now() + Duration::from_secs(20);
            while super::unread(&targets).unwrap() != expected {
                let found = super::unread(&targets);
                assert!(Instant::now() < until, "{found:?}, not {expected:?}");
            }
        };
        settles(1000);
        server.read_exact(&mut [0; 400]).unwrap();
        settles(600);
        // More than the far end has room for.
        client.set_nonblocking(true).unwrap();
        let mut sent = 1000;
        while let Ok(n) = client.write(&[0; 65_536]) {
            sent += n as u64;
        }
        settles(sent - 400);
    }

    #[test]
    fn packets_that_a_listener_drops_are_counted_for_it_alone() {
        let test = "serving::tests::packets_that_a_listener_drops_are_counted_for_it_alone";
        if !inside(test, "sysctl -qw net.core.somaxconn=1") {
            return;
        }
        let full = TcpListener::bind("127.0.0.1:4000").unwrap();
        let free = TcpListener::bind("127.0.0.1:4001").unwrap();
        let at = [&full, &free].map(|l| l.local_addr().unwrap());
        let dropped = || {
            let found = drops(&at).unwrap();
            at.map(|at| found[&listening(at).unwrap()[0].inode])
        };
        assert_eq!(dropped(), [0, 0]);
        let _clients: Vec<_> = (0..8)
            .map(|_| TcpStream::connect_timeout(&at[0], Duration::from_millis(50)))
            .collect();
        let until = Instant::now() + Duration::from_secs(20);
        while dropped()[0] == 0 {
            assert!(Instant::now() < until);
        }
        assert_eq!(dropped()[1], 0);
    }
}
