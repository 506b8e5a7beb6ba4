//! What a proxy's connections do.

use super::backends::{Backends, Balance, Ends};
use super::counts::EndedBy;
use super::legs::{Bare, Legs};
use crate::behaviour::{At, Behaviour, Outbox, Transmit, Way};
use crate::protocol::proxy_protocol::{self, Begins, Parts, Version};
use crate::protocol::tls::TlsFailure;
use crate::stats::{Closed, FailCause, Measured};
use std::collections::HashMap;
use std::net::SocketAddr;

/// How backends learn who a client is, and how the proxy does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The header of the PROXY protocol that connections to backends begin with.
    pub send: Option<Version>,
    /// Whether those of clients begin with one.
    pub accept: bool,
    /// Whether connections to backends come from the client's own address.
    pub transparent: bool,
}

/// The most attempts for a client that find no free port: each shows that a source address is used up.
const MOST_PORTLESS: u8 = 16;

/// Opens a connection to a backend for each one that is accepted, and sends all bytes across. Connections have no state of
/// their own; what is kept is kept for a pair.
///
/// Either connection may speak TLS (`L`). A client's handshake comes before its backend is opened, and a backend's before anything is
/// read from its client. Headers of the PROXY protocol come before both.
pub struct Proxy<L = Bare> {
    backends: Backends,
    legs: L,
    identity: Identity,
    /// The address of each client that has no partner yet, and the one that it connected to, where that is asked for; by the half of
    /// a connection's number.
    clients: HashMap<u32, Ends>,
    /// What arrived of headers, by the half of a connection's number.
    parts: Parts,
    /// What a client sent before its backend's handshake was over, by the half of a connection's number: of what was received together
    /// with the end of its own handshake, or header.
    held: HashMap<u32, Held>,
    /// The memory for the plaintext of what is received.
    plain: Vec<u8>,
    /// By the half of a connection's number.
    pairs: Vec<Pair>,
}

#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    /// Whether the client then said that it sends no more.
    ended: bool,
}

/// What is kept of a pair: 8 bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    /// Where its partner is, or is being opened. A source of 0 is the kernel's choice; others are one more than their place.
    target: u16,
    source: u16,
    /// Attempts made for it that reached nobody.
    tried: u8,
    /// Those for which no port was free.
    portless: u8,
    stage: Stage,
    /// Who or what ended it, once the first of the two has ended.
    ended: Option<EndedBy>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// There is no partner.
    #[default]
    Alone,
    /// The client's header is awaited.
    Awaited,
    /// The client's TLS handshake is under way.
    Shaking,
    /// It is being opened.
    Asked,
    /// It is open, and its TLS handshake is under way.
    Securing,
    /// Both stand.
    Paired,
    /// One of the two has ended.
    Parting,
}

impl Pair {
    fn way(self) -> Way {
        Way {
            target: self.target,
            source: self.source.checked_sub(1),
            ..Way::default()
        }
    }
}

impl Proxy {
    /// A proxy to these backends.
    pub fn new(backends: Backends, identity: Identity) -> Proxy {
        Proxy::speaking(backends, identity, Bare)
    }
}

impl<L: Legs> Proxy<L> {
    /// A proxy to these backends, some of whose connections speak TLS.
    pub fn speaking(backends: Backends, identity: Identity, legs: L) -> Proxy<L> {
        Proxy {
            backends,
            legs,
            identity,
            clients: HashMap::new(),
            parts: Parts::default(),
            held: HashMap::new(),
            plain: Vec::new(),
            pairs: Vec::new(),
        }
    }

    /// Whether connections to backends, or those of clients, speak TLS.
    fn speaks(&self, to_backend: bool) -> bool {
        L::SPEAK && self.legs.speaks(to_backend)
    }

    fn pair(&mut self, at: &At) -> &mut Pair {
        let place = at.id as usize / 2;
        if place >= self.pairs.len() {
            self.pairs.resize(place + 1, Pair::default());
        }
        &mut self.pairs[place]
    }

    /// Asks for a partner, or turns the client away.
    fn ask(&mut self, at: &At, out: &mut Outbox) {
        let client = self.clients.get(&(at.id / 2)).copied();
        if client.is_some_and(|(_, to)| self.backends.lead_to_itself(to)) {
            at.counters.proxy.to_itself.add(1);
            return self.give_up(at, out);
        }
        let way = self.backends.choose(client, at.now);
        let client = client.map(|(peer, _)| peer.ip());
        let pair = self.pair(at);
        match way {
            Some(way) => {
                pair.target = way.target;
                pair.source = way.source.map_or(0, |source| source + 1);
                pair.stage = Stage::Asked;
                let own = client.filter(|_| self.identity.transparent);
                out.open = Some(Way { own, ..way });
            }
            None => self.turn_away(at, out),
        }
    }

    /// More of a client's header arrived, and perhaps what follows it.
    fn await_header(&mut self, bytes: &[u8], at: &At, out: &mut Outbox) {
        let place = at.id / 2;
        match self.parts.take(place, bytes, &at.counters.proxy_protocol) {
            Begins::Part => {}
            Begins::Wrong => self.give_up(at, out),
            Begins::Header(header, rest) => {
                if let Some(ends) = header.addresses {
                    self.clients.insert(place, ends);
                }
                self.greet(at, out);
                let behind = &bytes[rest..];
                if behind.is_empty() || out.close {
                    return;
                }
                if L::SPEAK {
                    self.take(behind, at, out);
                } else {
                    count(behind.len(), at);
                    out.send = Transmit::Across(rest as u32);
                }
            }
        }
    }

    /// Nothing comes before what a client has to say: begins its handshake, or asks for its backend.
    fn greet(&mut self, at: &At, out: &mut Outbox) {
        if !self.speaks(false) {
            return self.ask(at, out);
        }
        self.pair(at).stage = Stage::Shaking;
        self.begin(0, at, out);
    }

    /// Begins the handshake of a connection.
    fn begin(&mut self, backend: u16, at: &At, out: &mut Outbox) {
        if let Err(why) = self.legs.begin(backend, at, &mut out.bytes) {
            return self.broke(why, at, out);
        }
        out.wake = self.legs.shakes_until(at.id);
        if !out.bytes.is_empty() {
            out.send = Transmit::Reply;
        }
    }

    /// Bytes were received where TLS is spoken on this connection or on its partner.
    fn take(&mut self, bytes: &[u8], at: &At, out: &mut Outbox) {
        let to_backend = is_to_backend(at);
        if !self.speaks(to_backend) {
            self.pass_on(bytes, at, out);
            return;
        }
        let mut plain = std::mem::take(&mut self.plain);
        let taken = self.legs.take(bytes, at, &mut plain, &mut out.bytes);
        if taken.secured {
            match to_backend {
                true => self.pair_up(at, out),
                false => self.ask(at, out),
            }
        }
        self.pass_on(&plain, at, out);
        if taken.ended {
            self.pass_on_the_end(at, out);
        }
        if let Some(why) = taken.failed {
            self.broke(why, at, out);
        }
        if !out.bytes.is_empty() {
            out.send = Transmit::Reply;
        }
        plain.clear();
        self.plain = plain;
    }

    /// The handshake with a backend is over: its client is read from, after what it has sent already.
    fn pair_up(&mut self, at: &At, out: &mut Outbox) {
        if self.pair(at).stage != Stage::Securing {
            return;
        }
        let pair = self.pair(at);
        pair.stage = Stage::Paired;
        let way = pair.way();
        self.backends.serves(way);
        at.counters.proxy.paired.add(1);
        out.pair.resume = true;
        if let Some(held) = self.held.remove(&(at.id / 2)) {
            self.legs.seal(at.id, &held.bytes, &mut out.bytes);
            if held.ended {
                self.legs.seal_end(at.id, &mut out.bytes);
                out.pair.partner_ended = true;
            }
        }
    }

    /// Sends what a connection's peer has sent across, or keeps it until that can be.
    fn pass_on(&mut self, plain: &[u8], at: &At, out: &mut Outbox) {
        let to_backend = is_to_backend(at);
        let partner_speaks = self.speaks(!to_backend);
        if plain.is_empty() {
            return;
        }
        match self.pair(at).stage {
            Stage::Asked | Stage::Securing if partner_speaks => {
                let held = self.held.entry(at.id / 2).or_default();
                held.bytes.extend_from_slice(plain);
            }
            Stage::Asked | Stage::Paired if !partner_speaks => {
                out.pair.across.extend_from_slice(plain);
            }
            Stage::Paired => self.legs.seal(at.id ^ 1, plain, &mut out.pair.across),
            // The client was turned away, or one of the two has ended.
            _ => return,
        }
        count(plain.len(), at);
    }

    /// A connection's peer has said that it sends no more.
    fn pass_on_the_end(&mut self, at: &At, out: &mut Outbox) {
        let partner_speaks = self.speaks(!is_to_backend(at));
        match self.pair(at).stage {
            Stage::Asked | Stage::Securing if partner_speaks => {
                self.held.entry(at.id / 2).or_default().ended = true;
            }
            _ => {
                self.say_end(at, out);
                out.pair.ended = true;
            }
        }
    }

    /// Says the end on the partner of a connection, where TLS is spoken there.
    fn say_end(&mut self, at: &At, out: &mut Outbox) {
        if self.speaks(!is_to_backend(at)) && self.pair(at).stage == Stage::Paired {
            self.legs.seal_end(at.id ^ 1, &mut out.pair.across);
        }
    }

    /// TLS failed on a connection, or broke.
    fn broke(&mut self, why: TlsFailure, at: &At, out: &mut Outbox) {
        out.close = true;
        match self.pair(at).stage {
            // What was sent across is not all that there was.
            Stage::Paired => out.pair.cut = true,
            Stage::Securing if is_to_backend(at) => self.unsecured(why, at),
            _ => {}
        }
    }

    /// The handshake with a backend failed.
    fn unsecured(&mut self, why: TlsFailure, at: &At) {
        let way = self.pair(at).way();
        self.backends.unsecured(way, why, at.now);
        at.counters.proxy.unsecured(why);
    }

    /// A client sent no right header, or wants to go where it can't.
    fn give_up(&mut self, at: &At, out: &mut Outbox) {
        self.pair(at).stage = Stage::Alone;
        out.close = true;
    }

    fn turn_away(&mut self, at: &At, out: &mut Outbox) {
        self.pair(at).stage = Stage::Alone;
        at.counters.proxy.turned_away.add(1);
        out.close = true;
    }
}

impl<L: Legs> Proxy<L> {
    /// The time of a handshake may be over.
    fn shakes_long(&mut self, woken: &At, out: &mut Outbox) {
        // The two of a pair have one timer, which is the client's.
        let id = match self.pair(woken).stage {
            Stage::Securing => woken.id | 1,
            _ => woken.id,
        };
        let at = &At { id, ..*woken };
        match self.legs.shakes_until(id) {
            None => return,
            Some(until) if at.now < until => {
                out.wake = Some(until);
                return;
            }
            Some(_) => {}
        }
        self.legs.failed(TlsFailure::TimedOut, at);
        self.broke(TlsFailure::TimedOut, at, out);
    }
}

/// Counts bytes by their direction.
fn count(bytes: usize, at: &At) {
    let counts = &at.counters.proxy;
    let count = match is_to_backend(at) {
        true => &counts.from_backends,
        false => &counts.from_clients,
    };
    count.add(bytes as u64);
}

/// Whether this is the connection to the backend.
fn is_to_backend(at: &At) -> bool {
    !at.id.is_multiple_of(2)
}

impl<L: Legs> Behaviour for Proxy<L> {
    type Conn = ();
    const PAIRS: bool = true;

    fn asks_who(&self) -> bool {
        self.identity.send.is_some()
            || self.identity.transparent
            || self.backends.are_original()
            || self.backends.balance() == Balance::SourceHash
    }

    fn accepted_from(&mut self, (): &mut (), peer: SocketAddr, to: SocketAddr, at: &At) {
        self.clients.insert(at.id / 2, (peer, to));
    }

    fn opened(&mut self, (): &mut (), at: &At, out: &mut Outbox) {
        let accepts_headers = self.identity.accept;
        let pair = self.pair(at);
        if is_to_backend(at) {
            let way = pair.way();
            // A pair whose client has left meanwhile never stands.
            let stands = pair.stage == Stage::Asked;
            self.backends.established(way);
            if !self.speaks(true) {
                self.backends.serves(way);
            }
            let ends = self.clients.remove(&(at.id / 2));
            if let (Some(version), Some((client, to))) = (self.identity.send, ends) {
                version.write(client, to, &mut out.bytes);
                out.send = Transmit::Reply;
            }
            if stands && self.speaks(true) {
                self.pair(at).stage = Stage::Securing;
                self.begin(way.target, at, out);
            } else if stands {
                self.pair(at).stage = Stage::Paired;
                at.counters.proxy.paired.add(1);
            }
            return;
        }
        *pair = Pair::default();
        if accepts_headers {
            pair.stage = Stage::Awaited;
            out.wake = Some(at.now + proxy_protocol::WITHIN);
            return;
        }
        self.greet(at, out);
    }

    fn woken(&mut self, (): &mut (), at: &At, out: &mut Outbox) {
        match self.pair(at).stage {
            Stage::Awaited => {}
            Stage::Shaking | Stage::Securing => return self.shakes_long(at, out),
            _ => return,
        }
        let left = proxy_protocol::WITHIN.saturating_sub(at.since_up());
        if !left.is_zero() {
            out.wake = Some(at.now + left);
            return;
        }
        at.counters.proxy_protocol.late.add(1);
        self.parts.forget(at.id / 2);
        self.give_up(at, out);
    }

    fn received(&mut self, (): &mut (), bytes: &[u8], at: &At, out: &mut Outbox) {
        if self.identity.accept && self.pair(at).stage == Stage::Awaited {
            self.await_header(bytes, at, out);
            return;
        }
        if L::SPEAK {
            self.take(bytes, at, out);
            return;
        }
        count(bytes.len(), at);
        out.send = Transmit::Across(0);
    }

    fn passes(&self, (): &(), id: u32) -> bool {
        let pair = self.pairs.get(id as usize / 2);
        !L::SPEAK && pair.is_some_and(|pair| pair.stage == Stage::Paired)
    }

    fn waits(&self, (): &(), id: u32) -> bool {
        // What it sends could not be sent on yet.
        L::SPEAK && id.is_multiple_of(2) && self.legs.speaks(true) && {
            let pair = self.pairs.get(id as usize / 2);
            pair.is_some_and(|pair| matches!(pair.stage, Stage::Asked | Stage::Securing))
        }
    }

    fn peer_finished(&mut self, (): &mut (), at: &At, out: &mut Outbox) {
        if !L::SPEAK {
            return;
        }
        let stage = self.pair(at).stage;
        if !self.speaks(is_to_backend(at)) {
            self.say_end(at, out);
        } else if stage == Stage::Securing && is_to_backend(at) {
            self.legs.failed(TlsFailure::Closed, at);
            self.broke(TlsFailure::Closed, at, out);
        } else if stage != Stage::Shaking {
            // Without a close_notify, the end that arrives on the partner has none, either.
            at.counters.tls.truncated.add(1);
        }
    }

    fn counted(&mut self, (): &mut (), n: usize, at: &At, _: &mut Outbox) {
        count(n, at);
    }

    fn partner_failed(&mut self, (): &mut (), why: FailCause, at: &At, out: &mut Outbox) {
        let tries = self.backends.tries();
        let pair = self.pair(at);
        match why {
            FailCause::NoAddress => pair.portless += 1,
            _ => pair.tried += 1,
        }
        let pair = *pair;
        let another = self.backends.failed(pair.way(), why, at.now);
        if pair.stage != Stage::Asked {
            // The client has left meanwhile.
            return;
        }
        match another && pair.tried < tries && pair.portless < MOST_PORTLESS {
            true => self.ask(at, out),
            false => self.turn_away(at, out),
        }
    }

    fn take_measured(&mut self) -> Measured {
        self.legs.take_measured()
    }

    fn parting(&mut self, (): &mut (), at: &At, out: &mut Vec<u8>) {
        if self.speaks(is_to_backend(at)) {
            self.legs.seal_end(at.id, out);
        }
    }

    fn closed(&mut self, (): &mut (), why: Closed, at: &At) {
        if L::SPEAK {
            self.legs.closed(why, at);
            self.held.remove(&(at.id / 2));
        }
        let to_backend = is_to_backend(at);
        let pair = self.pair(at);
        let (way, stage) = (pair.way(), pair.stage);
        let by = ended_by(why, to_backend);
        pair.ended = pair.ended.or(by);
        match stage {
            Stage::Paired => pair.stage = Stage::Parting,
            Stage::Parting => {
                at.counters
                    .proxy
                    .ended(pair.ended.unwrap_or(EndedBy::Proxy));
                *pair = Pair::default();
            }
            // The partner ends by itself, once it is known whether it was established.
            Stage::Asked if !to_backend => pair.stage = Stage::Alone,
            Stage::Shaking => pair.stage = Stage::Alone,
            Stage::Securing => {
                pair.stage = Stage::Alone;
                if to_backend && why != Closed::ByUs {
                    self.unsecured(TlsFailure::Closed, at);
                }
            }
            Stage::Awaited => {
                pair.stage = Stage::Alone;
                let by_client = why != Closed::ByUs;
                at.counters.proxy_protocol.cut_off.add(by_client.into());
                self.parts.forget(at.id / 2);
            }
            Stage::Asked | Stage::Alone => {}
        }
        if !to_backend {
            self.clients.remove(&(at.id / 2));
        }
        if to_backend {
            let lost = matches!(why, Closed::ResetByPeer | Closed::TimedOut);
            self.backends.ended(way, lost);
        }
    }
}

/// Who ended a pair of which this connection ended so; `None` if it ended because of the other one, or of the proxy.
fn ended_by(why: Closed, to_backend: bool) -> Option<EndedBy> {
    Some(match (why, to_backend) {
        (Closed::ByPeer, false) => EndedBy::Client,
        (Closed::ByPeer, true) => EndedBy::Backend,
        (Closed::ResetByPeer, false) => EndedBy::ClientReset,
        (Closed::ResetByPeer, true) => EndedBy::BackendReset,
        (Closed::TimedOut, false) => EndedBy::ClientLost,
        (Closed::TimedOut, true) => EndedBy::BackendLost,
        (Closed::ByUs | Closed::Error, _) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::backends::{Asked, Balance, Sources, Standing};
    use super::*;
    use crate::protocol::proxy_protocol::{Malformed, Read, read};
    use crate::stats::Counters;
    use crate::time::Time;
    use std::sync::Arc;
    use std::time::Duration;

    struct Rig {
        proxy: Proxy,
        counters: Counters,
        standing: Arc<[Standing]>,
    }

    impl Rig {
        fn new(backends: usize) -> Rig {
            Rig::with(backends, Balance::RoundRobin, Identity::default())
        }

        fn with(backends: usize, balance: Balance, identity: Identity) -> Rig {
            let standing: Arc<[Standing]> = (0..backends).map(|_| Standing::default()).collect();
            let asked = Asked {
                original: None,
                balance,
                targets: (0..backends)
                    .map(|n| ([10, 0, 0, 9], 80 + n as u16).into())
                    .collect(),
                transparent: identity.transparent,
                sources: vec![
                    Sources {
                        kernels: true,
                        bound: 0
                    };
                    backends
                ],
                ports: 100,
                left_out: Duration::from_secs(5),
                worker: 0,
            };
            Rig {
                proxy: Proxy::new(Backends::new(asked, Arc::clone(&standing)), identity),
                counters: Counters::default(),
                standing,
            }
        }

        fn tell(&mut self, id: u32, what: impl FnOnce(&mut Proxy, &At, &mut Outbox)) -> Outbox {
            let mut out = Outbox::default();
            let at = At {
                id,
                now: Time::START,
                up_us: 0,
                counters: &self.counters,
            };
            what(&mut self.proxy, &at, &mut out);
            out
        }

        fn opened(&mut self, id: u32) -> Outbox {
            self.tell(id, |p, at, out| p.opened(&mut (), at, out))
        }

        fn failed(&mut self, id: u32) -> Outbox {
            let why = FailCause::Refused;
            self.tell(id, |p, at, out| p.partner_failed(&mut (), why, at, out))
        }

        fn closed(&mut self, id: u32, why: Closed) {
            self.tell(id, |p, at, _| p.closed(&mut (), why, at));
        }

        fn held(&self) -> u64 {
            self.counters.read().proxy.pairs()
        }
    }

    #[test]
    fn what_one_receives_goes_across_and_is_counted_by_its_direction() {
        let mut rig = Rig::new(1);
        assert_eq!(rig.opened(6).open, Some(Way::default()));
        assert!(rig.opened(7).is_done());
        let received = |rig: &mut Rig, id, bytes: &[u8]| {
            let out = rig.tell(id, |p, at, out| p.received(&mut (), bytes, at, out));
            assert_eq!(out.send, Transmit::Across(0));
        };
        received(&mut rig, 6, b"question");
        received(&mut rig, 7, b"answer");
        let counts = rig.counters.read().proxy;
        assert_eq!((counts.from_clients, counts.from_backends), (8, 6));
        assert_eq!(rig.held(), 1);
    }

    #[test]
    fn a_pair_is_ended_by_the_first_of_the_two_that_did() {
        use Closed::{ByPeer, ByUs, Error, ResetByPeer, TimedOut};
        let mut rig = Rig::new(1);
        for (client, backend, by) in [
            (ByPeer, ByUs, EndedBy::Client),
            (ByUs, ByPeer, EndedBy::Backend),
            (ResetByPeer, ByUs, EndedBy::ClientReset),
            (ByUs, ResetByPeer, EndedBy::BackendReset),
            (TimedOut, ByUs, EndedBy::ClientLost),
            (ByUs, TimedOut, EndedBy::BackendLost),
            (ByUs, ByUs, EndedBy::Proxy),
            (Error, ByUs, EndedBy::Proxy),
        ] {
            for client_first in [true, false] {
                let before = rig.counters.read().proxy.ended(by);
                rig.opened(0);
                rig.opened(1);
                let ends = match client_first {
                    true => [(0, client), (1, backend)],
                    false => [(1, backend), (0, client)],
                };
                for (id, why) in ends {
                    rig.closed(id, why);
                }
                assert_eq!(rig.counters.read().proxy.ended(by), before + 1, "{by:?}");
            }
        }
        assert_eq!(rig.held(), 0);
        assert_eq!(rig.standing[0].of.lost.get(), 4);
    }

    #[test]
    fn another_backend_is_asked_for_until_all_were_tried_twice() {
        let mut rig = Rig::new(2);
        let mut targets = vec![rig.opened(0).open];
        let last = loop {
            let out = rig.failed(0);
            match out.open {
                Some(_) => targets.push(out.open),
                None => break out,
            }
        };
        let targets: Vec<u16> = targets.iter().flatten().map(|way| way.target).collect();
        assert_eq!(targets, [0, 1, 0, 1]);
        assert!(last.close);
        rig.closed(0, Closed::ByUs);
        let counts = rig.counters.read().proxy;
        assert_eq!(
            (counts.turned_away, counts.paired, counts.parted),
            (1, 0, 0)
        );
        // The next client in the same place begins anew.
        assert!(rig.opened(0).open.is_some());
    }

    #[test]
    fn a_client_that_leaves_before_leaves_nothing_behind() {
        let mut rig = Rig::new(1);
        for established in [true, false] {
            rig.opened(0);
            rig.closed(0, Closed::ByUs);
            match established {
                true => {
                    rig.opened(1);
                    rig.closed(1, Closed::ByUs);
                }
                false => assert!(rig.failed(0).is_done()),
            }
            assert_eq!(rig.held(), 0);
        }
        rig.opened(0);
        rig.opened(1);
        assert_eq!(rig.held(), 1);
    }

    fn received(rig: &mut Rig, id: u32, bytes: &[u8]) -> Outbox {
        rig.tell(id, |p, at, out| p.received(&mut (), bytes, at, out))
    }

    /// A client was accepted.
    fn accepted(rig: &mut Rig, id: u32, from: &str) -> Outbox {
        let (peer, to) = (from.parse().unwrap(), "10.0.0.1:8080".parse().unwrap());
        rig.tell(id, |p, at, _| p.accepted_from(&mut (), peer, to, at));
        rig.opened(id)
    }

    #[test]
    fn a_header_is_accepted_wherever_it_is_cut_and_what_follows_it_goes_across() {
        let identity = Identity {
            send: Some(Version::V2),
            accept: true,
            transparent: false,
        };
        let line = b"PROXY TCP4 10.0.0.1 10.0.0.9 1024 80\r\nGET /";
        for cut in 1..line.len() {
            let mut rig = Rig::with(1, Balance::RoundRobin, identity);
            let opened = accepted(&mut rig, 0, "192.0.2.1:5000");
            assert!(opened.open.is_none() && opened.wake.is_some());
            let (a, b) = line.split_at(cut);
            let outs = [a, b].map(|part| received(&mut rig, 0, part));
            let header = line.len() - 5;
            let whole = usize::from(cut < header);
            assert!(outs[whole].open.is_some(), "{cut}");
            let behind = match (cut < header, cut == header) {
                (true, _) => Transmit::Across((header - cut) as u32),
                // All of the first part is the header.
                (_, true) => Transmit::Nothing,
                _ => Transmit::Across(header as u32),
            };
            assert_eq!(outs[whole].send, behind, "{cut}");
            // The backend is told the same addresses.
            let out = rig.opened(1);
            let Read::Header(sent) = read(&out.bytes) else {
                panic!("{:?}", out.bytes);
            };
            let ends = ["10.0.0.1:1024", "10.0.0.9:80"].map(|end| end.parse().unwrap());
            assert_eq!(sent.addresses, Some((ends[0], ends[1])));
            assert!(rig.proxy.clients.is_empty() && rig.proxy.parts.is_empty());
            assert_eq!(rig.counters.read().proxy.from_clients, 5);
        }
    }

    #[test]
    fn where_a_header_names_nobody_the_backend_is_told_who_connected() {
        for accept in [false, true] {
            let identity = Identity {
                send: Some(Version::V1),
                accept,
                transparent: false,
            };
            let mut rig = Rig::with(1, Balance::RoundRobin, identity);
            accepted(&mut rig, 0, "192.0.2.1:5000");
            if accept {
                assert!(received(&mut rig, 0, b"PROXY UNKNOWN\r\n").open.is_some());
            }
            let told = rig.opened(1).bytes;
            assert_eq!(told, b"PROXY TCP4 192.0.2.1 10.0.0.1 5000 8080\r\n");
        }
    }

    #[test]
    fn a_wrong_header_or_none_in_time_ends_the_connection() {
        let identity = Identity {
            accept: true,
            ..Identity::default()
        };
        let mut rig = Rig::with(1, Balance::RoundRobin, identity);
        rig.opened(0);
        let out = received(&mut rig, 0, b"GET / HTTP");
        assert!(out.close && out.open.is_none());
        rig.closed(0, Closed::ByUs);
        rig.opened(0);
        received(&mut rig, 0, b"PROXY TCP4 ");
        let early = rig.tell(0, |p, at, out| p.woken(&mut (), at, out));
        assert!(!early.close && early.wake.is_some());
        let late = Time::START + proxy_protocol::WITHIN;
        let mut out = Outbox::default();
        let at = At {
            id: 0,
            now: late,
            up_us: 0,
            counters: &rig.counters,
        };
        rig.proxy.woken(&mut (), &at, &mut out);
        assert!(out.close);
        rig.closed(0, Closed::ByUs);
        rig.opened(0);
        received(&mut rig, 0, b"PROXY");
        rig.closed(0, Closed::ByPeer);
        let counts = rig.counters.read().proxy_protocol;
        assert_eq!((counts.taken, counts.late, counts.cut_off), (0, 1, 1));
        assert_eq!(counts.refused(Malformed::NoHeader), 1);
        assert!(rig.proxy.clients.is_empty() && rig.proxy.parts.is_empty());
        assert_eq!(rig.counters.read().proxy.turned_away, 0);
    }

    #[test]
    fn a_transparent_proxy_connects_from_the_clients_address() {
        let identity = Identity {
            transparent: true,
            ..Identity::default()
        };
        let mut rig = Rig::with(2, Balance::RoundRobin, identity);
        let way = accepted(&mut rig, 0, "192.0.2.7:5000").open.unwrap();
        assert_eq!(way.own, Some([192, 0, 2, 7].into()));
        // That one of its ports is used up says nothing of other clients' addresses.
        let full = FailCause::NoAddress;
        rig.tell(0, |p, at, out| p.partner_failed(&mut (), full, at, out));
        let other = accepted(&mut rig, 2, "192.0.2.8:5000").open;
        assert_eq!(other.unwrap().own, Some([192, 0, 2, 8].into()));
        // No backend is of this one's family.
        let out = accepted(&mut rig, 4, "[fd00::1]:5000");
        assert!(out.close && out.open.is_none());
    }

    #[test]
    fn a_client_goes_where_it_wanted_to_and_is_closed_where_that_is_the_proxy_itself() {
        let mut rig = Rig::new(1);
        let listens: SocketAddr = "127.0.0.1:9000".parse().unwrap();
        let asked = Asked {
            original: Some([listens].into()),
            balance: Balance::RoundRobin,
            targets: Vec::new(),
            transparent: false,
            sources: vec![Sources {
                kernels: true,
                bound: 0,
            }],
            ports: 100,
            left_out: Duration::from_secs(5),
            worker: 0,
        };
        let backends = Backends::new(asked, Arc::clone(&rig.standing));
        rig.proxy = Proxy::new(backends, Identity::default());
        assert!(rig.proxy.asks_who());
        // The address that it connected to is another machine's.
        let out = accepted(&mut rig, 0, "192.0.2.1:5000");
        let way = out.open.unwrap();
        assert_eq!((way.to, way.own), ("10.0.0.1:8080".parse().ok(), None));
        let out = rig.failed(0);
        assert!(out.close && out.open.is_none());
        rig.closed(0, Closed::ByUs);
        let peer = "192.0.2.1:5001".parse().unwrap();
        rig.tell(0, |p, at, _| p.accepted_from(&mut (), peer, listens, at));
        let out = rig.opened(0);
        assert!(out.close && out.open.is_none());
        rig.closed(0, Closed::ByUs);
        let counts = rig.counters.read().proxy;
        assert_eq!((counts.turned_away, counts.to_itself), (1, 1));
        assert_eq!(counts.paired, 0);
        assert!(rig.proxy.clients.is_empty());
    }

    #[test]
    fn a_pair_takes_eight_bytes() {
        assert_eq!(size_of::<Pair>(), 8);
    }
}
