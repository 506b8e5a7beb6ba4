//! Tests of a proxy whose connections speak TLS, with a toy in its place: a handshake is `?` from this side and `!` from the peer, text
//! is upper case on the wire, `.` is the end of a stream, and `#` is nothing that may arrive.

use super::backends::{Asked, Backends, Balance, Fault, Sources, Standing};
use super::behaviour::{Identity, Proxy};
use super::legs::{Legs, Taken};
use crate::behaviour::{At, Behaviour, Outbox, Transmit, Way};
use crate::protocol::proxy_protocol::Version;
use crate::protocol::tls::TlsFailure;
use crate::stats::{Closed, Counters, Measured};
use crate::time::Time;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

struct Toy {
    clients: bool,
    backends: bool,
    /// Connections, and whether their handshake is over.
    secured: HashMap<u32, bool>,
}

impl Legs for Toy {
    const SPEAK: bool = true;

    fn speaks(&self, to_backend: bool) -> bool {
        if to_backend {
            self.backends
        } else {
            self.clients
        }
    }

    fn begin(&mut self, _: u16, at: &At, out: &mut Vec<u8>) -> Result<(), TlsFailure> {
        self.secured.insert(at.id, false);
        out.push(b'?');
        Ok(())
    }

    fn shakes_until(&self, id: u32) -> Option<Time> {
        let shakes = self.secured.get(&id) == Some(&false);
        shakes.then_some(Time::START + TIMEOUT)
    }

    fn take(&mut self, bytes: &[u8], at: &At, plain: &mut Vec<u8>, _: &mut Vec<u8>) -> Taken {
        let mut taken = Taken::default();
        for byte in bytes {
            match byte {
                b'!' => {
                    taken.secured = true;
                    self.secured.insert(at.id, true);
                }
                b'.' => taken.ended = true,
                b'#' => {
                    self.failed(TlsFailure::Violation, at);
                    taken.failed = Some(TlsFailure::Violation);
                }
                byte => plain.push(byte.to_ascii_lowercase()),
            }
        }
        taken
    }

    fn seal(&mut self, id: u32, plain: &[u8], out: &mut Vec<u8>) {
        assert_eq!(self.secured.get(&id), Some(&true), "{id}");
        out.extend(plain.to_ascii_uppercase());
    }

    fn seal_end(&mut self, id: u32, out: &mut Vec<u8>) {
        assert_eq!(self.secured.get(&id), Some(&true), "{id}");
        out.push(b'.');
    }

    fn failed(&mut self, why: TlsFailure, at: &At) {
        at.counters.tls.failed(why);
        self.secured.remove(&at.id);
    }

    fn closed(&mut self, _: Closed, at: &At) {
        self.secured.remove(&at.id);
    }

    fn take_measured(&mut self) -> Measured {
        Measured::default()
    }
}

struct Rig {
    proxy: Proxy<Toy>,
    counters: Counters,
    standing: Arc<[Standing]>,
    now: Time,
}

impl Rig {
    fn new(clients: bool, backends: bool, identity: Identity) -> Rig {
        let standing: Arc<[Standing]> = [Standing::default()].into();
        let asked = Asked {
            original: None,
            balance: Balance::RoundRobin,
            targets: vec![([10, 0, 0, 9], 443).into()],
            transparent: false,
            sources: vec![Sources {
                kernels: true,
                bound: 0,
            }],
            ports: 100,
            left_out: Duration::from_secs(5),
            worker: 0,
        };
        let toy = Toy {
            clients,
            backends,
            secured: HashMap::new(),
        };
        Rig {
            proxy: Proxy::speaking(Backends::new(asked, Arc::clone(&standing)), identity, toy),
            standing,
            counters: Counters::default(),
            now: Time::START,
        }
    }

    fn tell(&mut self, id: u32, what: impl FnOnce(&mut Proxy<Toy>, &At, &mut Outbox)) -> Outbox {
        let mut out = Outbox::default();
        let at = At {
            id,
            now: self.now,
            up_us: 0,
            counters: &self.counters,
        };
        what(&mut self.proxy, &at, &mut out);
        assert_eq!(
            out.send == Transmit::Reply,
            !out.bytes.is_empty(),
            "{out:?}"
        );
        out
    }

    fn opened(&mut self, id: u32) -> Outbox {
        self.tell(id, |p, at, out| p.opened(&mut (), at, out))
    }

    fn received(&mut self, id: u32, bytes: &[u8]) -> Outbox {
        self.tell(id, |p, at, out| p.received(&mut (), bytes, at, out))
    }

    fn finished(&mut self, id: u32) -> Outbox {
        self.tell(id, |p, at, out| p.peer_finished(&mut (), at, out))
    }

    fn closed(&mut self, id: u32, why: Closed) {
        self.tell(id, |p, at, _| p.closed(&mut (), why, at));
    }

    fn waits(&self) -> bool {
        self.proxy.waits(&(), 0)
    }

    /// A pair that stands: connections 0 and 1.
    fn paired(clients: bool, backends: bool) -> Rig {
        let mut rig = Rig::new(clients, backends, Identity::default());
        let mut out = rig.opened(0);
        if clients {
            assert!(out.open.is_none());
            out = rig.received(0, b"!");
        }
        assert_eq!(out.open, Some(Way::default()));
        rig.opened(1);
        if backends {
            rig.received(1, b"!");
        }
        assert_eq!(rig.counters.read().proxy.pairs(), 1);
        assert!(!rig.waits());
        rig
    }
}

const EITHER: [(bool, bool); 3] = [(true, false), (false, true), (true, true)];

#[test]
fn a_client_shakes_hands_first_then_its_backend_and_then_what_was_sent_goes_across() {
    let mut rig = Rig::new(true, true, Identity::default());
    let out = rig.opened(0);
    assert_eq!((&out.bytes[..], out.open), (&b"?"[..], None));
    assert!(out.wake.is_some());
    // Its last message arrives with the first ones that it sends.
    let out = rig.received(0, b"!GET");
    assert!(out.open.is_some() && out.pair.is_done());
    assert!(rig.waits());
    // What was under way.
    assert!(rig.received(0, b" ME.").is_done());
    let out = rig.opened(1);
    assert_eq!(out.bytes, b"?");
    assert_eq!(rig.counters.read().proxy.pairs(), 0);
    assert!(rig.waits());
    let out = rig.received(1, b"!");
    assert_eq!(out.bytes, b"GET ME.");
    assert!(out.pair.resume && out.pair.partner_ended && !out.pair.ended);
    assert!(!rig.waits());
    let counts = rig.counters.read().proxy;
    assert_eq!((counts.pairs(), counts.from_clients), (1, 6));
}

#[test]
fn what_one_receives_goes_across_as_the_other_speaks() {
    for (clients, backends) in EITHER {
        let mut rig = Rig::paired(clients, backends);
        let wire = |text: &[u8], speaks| match speaks {
            true => text.to_ascii_uppercase(),
            false => text.to_vec(),
        };
        for (id, text) in [(0, &b"question"[..]), (1, b"answer")] {
            let (own, other) = match id {
                0 => (clients, backends),
                _ => (backends, clients),
            };
            let out = rig.received(id, &wire(text, own));
            assert_eq!(out.pair.across, wire(text, other));
            assert_eq!(out.send, Transmit::Nothing);
        }
        let counts = rig.counters.read().proxy;
        assert_eq!((counts.from_clients, counts.from_backends), (8, 6));
        assert!(!rig.proxy.passes(&(), 0), "nothing may stay in the kernel");
    }
}

#[test]
fn an_end_is_passed_on_as_the_other_says_it() {
    for (clients, backends) in EITHER {
        for id in [0, 1] {
            let (own, other) = match id {
                0 => (clients, backends),
                _ => (backends, clients),
            };
            let says = if other { &b"."[..] } else { b"" };
            let mut rig = Rig::paired(clients, backends);
            if own {
                let out = rig.received(id, b"LAST.");
                assert!(out.pair.ended && !out.close);
                assert_eq!(out.pair.across.last() == Some(&b'.'), other);
                // Without it, it is none that is said.
                let mut rig = Rig::paired(clients, backends);
                assert!(rig.finished(id).is_done());
                assert_eq!(rig.counters.read().tls.truncated, 1);
            } else {
                assert_eq!(rig.finished(id).pair.across, says);
                assert_eq!(rig.counters.read().tls.truncated, 0);
            }
        }
    }
}

#[test]
fn a_handshake_that_fails_ends_the_pair_and_one_with_a_backend_is_counted() {
    let mut rig = Rig::new(true, true, Identity::default());
    rig.opened(0);
    let out = rig.received(0, b"#");
    assert!(out.close && !out.pair.cut && out.open.is_none());
    rig.closed(0, Closed::ByUs);
    let unsecured = |rig: &Rig, why| rig.counters.read().proxy.unsecured(why);
    type Fails = fn(&mut Rig) -> Outbox;
    let fails: [(TlsFailure, Fails); 3] = [
        (TlsFailure::Violation, |rig| rig.received(1, b"#")),
        (TlsFailure::Closed, |rig| rig.finished(1)),
        (TlsFailure::TimedOut, |rig| {
            rig.now = Time::START + TIMEOUT;
            // The timer of a pair is the client's.
            rig.tell(0, |p, at, out| p.woken(&mut (), at, out))
        }),
    ];
    for (why, fail) in fails {
        assert_eq!(unsecured(&rig, why), 0);
        rig.now = Time::START;
        rig.opened(0);
        rig.received(0, b"!");
        rig.opened(1);
        let early = rig.tell(0, |p, at, out| p.woken(&mut (), at, out));
        assert!(early.wake.is_some() && !early.close);
        let out = fail(&mut rig);
        assert!(out.close && !out.pair.cut, "{why:?}");
        rig.closed(1, Closed::ByUs);
        rig.closed(0, Closed::ByUs);
        assert_eq!(unsecured(&rig, why), 1, "{why:?}");
        assert_eq!(rig.standing[0].out(), Some(Fault::Unsecured(why)));
    }
    // A backend that resets.
    rig.now = Time::START;
    rig.opened(0);
    rig.received(0, b"!");
    rig.opened(1);
    rig.closed(1, Closed::ResetByPeer);
    rig.closed(0, Closed::ByUs);
    assert_eq!(unsecured(&rig, TlsFailure::Closed), 2);
    let counts = rig.counters.read().proxy;
    assert_eq!((counts.paired, counts.turned_away), (0, 0));
    // One that can be connected to is still left out, until a handshake with it is over.
    rig.opened(0);
    rig.received(0, b"!");
    rig.opened(1);
    let closed = Some(Fault::Unsecured(TlsFailure::Closed));
    assert_eq!(rig.standing[0].out(), closed);
    rig.received(1, b"!");
    assert_eq!(rig.standing[0].out(), None);
    assert_eq!(rig.standing[0].left_out.get(), 1);
}

#[test]
fn a_record_that_may_not_arrive_resets_the_other_side() {
    for (clients, backends) in EITHER {
        let mut rig = Rig::paired(clients, backends);
        let id = if clients { 0 } else { 1 };
        let out = rig.received(id, b"OK#");
        assert!(out.close && out.pair.cut);
        assert_eq!(
            rig.counters.read().proxy.unsecured(TlsFailure::Violation),
            0
        );
    }
}

#[test]
fn headers_come_before_handshakes() {
    let identity = Identity {
        send: Some(Version::V1),
        accept: true,
        transparent: false,
    };
    let line = b"PROXY TCP4 10.0.0.1 10.0.0.9 1024 80\r\n";
    let mut rig = Rig::new(true, true, identity);
    assert!(rig.opened(0).bytes.is_empty());
    let out = rig.received(0, &[&line[..], b"!HI"].concat());
    assert_eq!(out.bytes, b"?");
    assert!(out.open.is_some());
    let out = rig.opened(1);
    assert_eq!(out.bytes, [&line[..], b"?"].concat());
    assert_eq!(rig.received(1, b"!").bytes, b"HI");
    assert_eq!(rig.counters.read().proxy.from_clients, 2);
}
