use super::*;
use crate::protocol::proxy_protocol::{Headers, Malformed};
use crate::protocol::raw::{Echo, Sink};
use crate::stats::Counters;
use std::time::Duration;

const LINE: &[u8] = b"PROXY TCP4 198.18.0.1 10.0.0.9 1024 80\r\n";

/// Writes down what it is told. Greets connections, if it is to.
#[derive(Default)]
struct Inner {
    heard: Vec<String>,
    greets: bool,
    wakes: bool,
}

impl Behaviour for Inner {
    type Conn = ();

    fn opened(&mut self, (): &mut (), at: &At, out: &mut Outbox) {
        self.heard.push("opened".into());
        if self.greets {
            out.bytes.extend_from_slice(b"hello");
            out.send = Transmit::Bytes;
        }
        out.wake = self.wakes.then_some(at.now + Duration::from_secs(60));
    }

    fn received(&mut self, (): &mut (), bytes: &[u8], _: &At, _: &mut Outbox) {
        self.heard.push(String::from_utf8_lossy(bytes).into_owned());
    }

    fn woken(&mut self, (): &mut (), _: &At, _: &mut Outbox) {
        self.heard.push("woken".into());
    }

    fn closed(&mut self, (): &mut (), why: Closed, _: &At) {
        self.heard.push(format!("{why:?}"));
    }
}

struct Rig<B: Behaviour> {
    headed: Headed<B>,
    conn: HeadedConn<B::Conn>,
    counters: Counters,
    clients: Arc<Mutex<Clients>>,
}

impl<B: Behaviour> Rig<B> {
    fn of(inner: B) -> Rig<B> {
        let announced = Headers::new(crate::protocol::proxy_protocol::Version::V1, &[]);
        let clients = Arc::new(Mutex::new(Clients::new(Some(announced))));
        Rig {
            headed: Headed::new(inner, Arc::clone(&clients)),
            conn: HeadedConn::default(),
            counters: Counters::default(),
            clients,
        }
    }

    /// A connection that was established.
    fn open(inner: B) -> Rig<B> {
        let mut rig = Rig::of(inner);
        let out = rig.at(0, |headed, conn, at, out| headed.opened(conn, at, out));
        assert_eq!(out.wake, Some(Time::START + WITHIN));
        rig
    }

    fn at(
        &mut self,
        ms: u32,
        then: impl FnOnce(&mut Headed<B>, &mut HeadedConn<B::Conn>, &At, &mut Outbox),
    ) -> Outbox {
        let at = At {
            id: 1,
            now: Time(u64::from(ms) * 1_000_000),
            up_us: 0,
            counters: &self.counters,
        };
        let mut out = Outbox::default();
        then(&mut self.headed, &mut self.conn, &at, &mut out);
        out
    }

    fn receive(&mut self, bytes: &[u8]) -> Outbox {
        self.at(1, |headed, conn, at, out| {
            headed.received(conn, bytes, at, out)
        })
    }

    fn wake(&mut self, ms: u32) -> Outbox {
        self.at(ms, |headed, conn, at, out| headed.woken(conn, at, out))
    }

    fn close(&mut self, why: Closed) {
        self.at(2, |headed, conn, at, _| headed.closed(conn, why, at));
        assert!(self.headed.parts.is_empty() && self.headed.rests.is_empty());
    }
}

#[test]
fn what_is_inside_gets_what_comes_behind_the_header_wherever_it_is_cut() {
    let all = [LINE, b"hello"].concat();
    for cut in 0..=all.len() {
        let mut rig = Rig::open(Inner::default());
        let (a, b) = all.split_at(cut);
        for part in [a, b].iter().filter(|part| !part.is_empty()) {
            assert!(!rig.receive(part).close, "{cut}");
        }
        rig.close(Closed::ByPeer);
        let heard = rig.headed.inner.heard;
        assert_eq!(heard[0], "opened");
        let last = heard.len() - 1;
        assert_eq!(heard[1..last].concat(), "hello", "{cut}");
        assert_eq!(heard[last], "ByPeer");
        let named = Clients::together([&*rig.clients.lock().unwrap()]);
        assert_eq!((named.named, named.unannounced), (1, Some(0)));
        let counts = rig.counters.read().proxy_protocol;
        assert_eq!((counts.taken, counts.cut_off), (1, 0));
    }
}

#[test]
fn an_echo_has_no_header_in_it() {
    let mut rig = Rig::open(Echo);
    let out = rig.receive(&[LINE, b"hello"].concat());
    assert_eq!((out.send, &out.bytes[..]), (Transmit::Reply, &b"hello"[..]));
    let out = rig.receive(b"more");
    assert_eq!(out.send, Transmit::Back);
}

#[test]
fn what_a_connection_greets_goes_first_and_nothing_is_lost() {
    let mut rig = Rig::open(Inner {
        greets: true,
        ..Inner::default()
    });
    let out = rig.receive(&[LINE, b"question"].concat());
    assert_eq!(out.send, Transmit::Bytes);
    assert!(rig.receive(b" and more").is_done());
    assert_eq!(rig.headed.inner.heard, ["opened", "question and more"]);
    rig.close(Closed::ByPeer);
}

#[test]
fn of_what_is_only_counted_the_header_is_looked_at() {
    let mut rig = Rig::open(Sink);
    assert_eq!(rig.headed.reads(), Reads::Looks);
    assert!(rig.headed.looks(&rig.conn));
    assert!(rig.receive(&[LINE, b"hello"].concat()).is_done());
    assert!(!rig.headed.looks(&rig.conn));
}

#[test]
fn a_connection_with_a_wrong_header_or_none_in_time_is_closed_and_never_told() {
    for (first, wakes, why) in [
        (&b"GET / HTTP/1.1\r\n"[..], false, Some(Malformed::NoHeader)),
        (b"PROXY TCP4 1.2.3.4\r\n", false, Some(Malformed::BadLine)),
        (b"PROXY TCP4 1.2.3.4", true, None),
        (b"", true, None),
    ] {
        let mut rig = Rig::open(Inner::default());
        let mut closes = !first.is_empty() && rig.receive(first).close;
        if wakes {
            let early = rig.wake(1000);
            assert_eq!(
                (early.close, early.wake),
                (false, Some(Time::START + WITHIN))
            );
            closes = rig.wake(3000).close;
        }
        assert!(closes, "{}", first.escape_ascii());
        rig.close(Closed::ByUs);
        assert!(rig.headed.inner.heard.is_empty());
        let counts = rig.counters.read().proxy_protocol;
        assert_eq!((counts.taken, counts.late), (0, wakes.into()));
        assert_eq!(counts.refused_in_all(), u64::from(why.is_some()));
        assert_eq!(why.map_or(1, |why| counts.refused(why)), 1);
    }
}

#[test]
fn one_that_ends_before_its_header_is_complete_is_cut_off() {
    let mut rig = Rig::open(Inner::default());
    rig.receive(&LINE[..7]);
    rig.close(Closed::ByPeer);
    assert!(rig.headed.inner.heard.is_empty());
    assert_eq!(rig.counters.read().proxy_protocol.cut_off, 1);
}

#[test]
fn the_time_limit_wakes_nobody_once_the_header_is_here() {
    for wakes in [false, true] {
        let mut rig = Rig::open(Inner {
            wakes,
            ..Inner::default()
        });
        rig.receive(LINE);
        assert!(!rig.wake(3000).close);
        let expected: &[&str] = match wakes {
            // It has asked for a time of its own.
            true => &["opened", "woken"],
            false => &["opened"],
        };
        assert_eq!(rig.headed.inner.heard, expected);
    }
}
