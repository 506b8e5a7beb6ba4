//! What a proxy's connections do.

use super::backends::Backends;
use super::counts::EndedBy;
use crate::behaviour::{At, Behaviour, Outbox, Transmit, Way};
use crate::stats::{Closed, FailCause};

/// The most attempts for a client that find no free port: each shows that a source address is used up.
const MOST_PORTLESS: u8 = 16;

/// Opens a connection to a backend for each one that is accepted, and sends all bytes across. Connections have no state of
/// their own; what is kept is kept for a pair.
pub struct Proxy {
    backends: Backends,
    /// By the half of a connection's number.
    pairs: Vec<Pair>,
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
    /// It is being opened.
    Asked,
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
        }
    }
}

impl Proxy {
    /// A proxy to these backends.
    pub fn new(backends: Backends) -> Proxy {
        Proxy {
            backends,
            pairs: Vec::new(),
        }
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
        let way = self.backends.choose(None, at.now);
        let pair = self.pair(at);
        match way {
            Some(way) => {
                pair.target = way.target;
                pair.source = way.source.map_or(0, |source| source + 1);
                pair.stage = Stage::Asked;
                out.open = Some(way);
            }
            None => self.turn_away(at, out),
        }
    }

    fn turn_away(&mut self, at: &At, out: &mut Outbox) {
        self.pair(at).stage = Stage::Alone;
        at.counters.proxy.turned_away.add(1);
        out.close = true;
    }
}

/// Whether this is the connection to the backend.
fn is_to_backend(at: &At) -> bool {
    !at.id.is_multiple_of(2)
}

impl Behaviour for Proxy {
    type Conn = ();
    const TIMERS: bool = false;
    const PAIRS: bool = true;

    fn opened(&mut self, (): &mut (), at: &At, out: &mut Outbox) {
        let pair = self.pair(at);
        if is_to_backend(at) {
            // A pair whose client has left meanwhile never stands.
            if pair.stage == Stage::Asked {
                pair.stage = Stage::Paired;
                at.counters.proxy.paired.add(1);
            }
            let way = pair.way();
            self.backends.established(way);
        } else {
            *pair = Pair::default();
            self.ask(at, out);
        }
    }

    fn received(&mut self, (): &mut (), bytes: &[u8], at: &At, out: &mut Outbox) {
        let counts = &at.counters.proxy;
        let count = match is_to_backend(at) {
            true => &counts.from_backends,
            false => &counts.from_clients,
        };
        count.add(bytes.len() as u64);
        out.send = Transmit::Across(0);
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

    fn closed(&mut self, (): &mut (), why: Closed, at: &At) {
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
            Stage::Asked | Stage::Alone => {}
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
            let standing: Arc<[Standing]> = (0..backends).map(|_| Standing::default()).collect();
            let asked = Asked {
                balance: Balance::RoundRobin,
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
                proxy: Proxy::new(Backends::new(asked, Arc::clone(&standing))),
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

    #[test]
    fn a_pair_takes_eight_bytes() {
        assert_eq!(size_of::<Pair>(), 8);
    }
}
