use super::*;
use crate::protocol::http::Status;
use crate::stats::Counters;

/// Writes down what it is told, and sends `hello` once it is.
#[derive(Default)]
struct Inner {
    heard: Vec<String>,
}

impl Behaviour for Inner {
    type Conn = ();

    fn opened(&mut self, (): &mut (), _: &At, out: &mut Outbox) {
        self.heard.push("opened".into());
        out.bytes.extend_from_slice(b"hello");
        out.send = Transmit::Bytes;
    }

    fn received(&mut self, (): &mut (), bytes: &[u8], _: &At, _: &mut Outbox) {
        self.heard.push(String::from_utf8_lossy(bytes).into_owned());
    }

    fn closed(&mut self, (): &mut (), why: Closed, _: &At) {
        self.heard.push(format!("{why:?}"));
    }
}

struct Rig {
    tunnel: Tunnel<Inner>,
    conn: TunnelConn<()>,
    counters: Counters,
}

impl Rig {
    fn new() -> Rig {
        let options = TunnelOptions::new(
            ["a:1".into(), "b:2".into()],
            Some("user:word"),
            Duration::from_secs(5),
        );
        Rig {
            tunnel: Tunnel::new(Inner::default(), options, Box::new(|id| id as usize)),
            conn: TunnelConn::default(),
            counters: Counters::default(),
        }
    }

    fn at(
        &mut self,
        ms: u32,
        then: impl FnOnce(&mut Tunnel<Inner>, &mut TunnelConn<()>, &At, &mut Outbox),
    ) -> Outbox {
        let at = At {
            id: 1,
            now: Time(u64::from(ms) * 1_000_000),
            up_us: 0,
            counters: &self.counters,
        };
        let mut out = Outbox::default();
        then(&mut self.tunnel, &mut self.conn, &at, &mut out);
        out
    }

    fn open(&mut self) -> Outbox {
        self.at(0, |tunnel, conn, at, out| tunnel.opened(conn, at, out))
    }

    fn receive(&mut self, bytes: &[u8]) -> Outbox {
        self.at(1, |tunnel, conn, at, out| {
            tunnel.received(conn, bytes, at, out)
        })
    }

    fn close(&mut self, why: Closed) {
        self.at(2, |tunnel, conn, at, _| {
            assert!(!tunnel.is_done(conn, why));
            tunnel.closed(conn, why, at);
        });
    }
}

#[test]
fn a_connection_is_remembered_in_8_bytes_more() {
    assert_eq!(size_of::<TunnelConn<()>>(), 8);
}

#[test]
fn what_is_inside_knows_a_connection_once_its_tunnel_is_open() {
    // An answer with what a client must ignore, behind an interim one, and with what the target said at once.
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhi";
    for cut in 0..answer.len() - 2 {
        let mut rig = Rig::new();
        let asked = rig.open();
        let request =
            "CONNECT b:2 HTTP/1.1\r\nHost: b:2\r\nProxy-Authorization: Basic dXNlcjp3b3Jk\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&asked.bytes), request);
        let (first, rest) = answer.split_at(cut);
        if !first.is_empty() {
            assert!(rig.receive(first).bytes.is_empty());
        }
        let out = rig.receive(rest);
        assert_eq!((out.send, &*out.bytes), (Transmit::Bytes, &b"hello"[..]));
        rig.receive(b" there");
        rig.close(Closed::ByPeer);
        assert_eq!(rig.tunnel.inner.heard, ["opened", "hi there", "ByPeer"]);
        assert_eq!(rig.counters.read().tunnel.opened, 1);
        assert!(rig.tunnel.partials.is_empty() && rig.tunnel.open == 0);
    }
}

#[test]
fn a_tunnel_that_is_not_opened_is_counted_by_its_cause() {
    let mut rig = Rig::new();
    for answer in [
        &b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3\r\n\r\nno!"[..],
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
    ] {
        rig.open();
        let out = rig.receive(answer);
        assert!(out.close && out.bytes.is_empty());
        assert!(rig.receive(b"more").is_done());
        rig.close(Closed::ByUs);
    }
    rig.open();
    rig.receive(b"HTTP/1.1 200");
    rig.close(Closed::ResetByPeer);
    rig.open();
    for (ms, closes) in [(4_000, false), (5_000, true)] {
        let out = rig.at(ms, |tunnel, conn, at, out| tunnel.woken(conn, at, out));
        assert_eq!((out.close, out.wake.is_some()), (closes, !closes));
    }
    rig.close(Closed::ByUs);
    let tunnel = rig.counters.read().tunnel;
    assert_eq!(tunnel.opened, 0);
    let refused = [
        Status::ProxyAuthenticationRequired,
        Status::SwitchingProtocols,
    ];
    assert_eq!(refused.map(|status| tunnel.refused(status)), [1, 1]);
    assert_eq!(TunnelFailure::ALL.map(|why| tunnel.failed(why)), [1; 3]);
    assert!(rig.tunnel.inner.heard.is_empty() && rig.tunnel.partials.is_empty());
}
