//! What TLS costs: processor time of handshakes and records, memory of a connection at rest.
//!
//!     cargo bench -p throng-tls
//!
//! Both ends run in this process, in memory; times are those of one end.

use std::fs;
use std::time::{Duration, Instant};
use throng_core::behaviour::{At, Behaviour, Outbox, Transmit};
use throng_core::stats::Counters;
use throng_core::time::Time;
use throng_tls::{
    ClientOptions, ClientTls, ServerOptions, ServerTls, Tls, TlsConn, Version, Versions,
};

/// Sends its bytes when it is its turn, and counts what comes in.
struct Talk(Vec<u8>, usize);

impl Behaviour for Talk {
    type Conn = ();

    fn opened(&mut self, (): &mut (), _: &At, _: &mut Outbox) {}

    fn turn(&mut self, (): &mut (), _: &At, out: &mut Outbox) {
        out.bytes.extend_from_slice(&self.0);
        out.send = Transmit::Bytes;
    }

    fn received(&mut self, (): &mut (), bytes: &[u8], _: &At, _: &mut Outbox) {
        self.1 += bytes.len();
    }
}

struct Worker {
    tls: Tls<Talk>,
    counters: Counters,
    buffer: Vec<u8>,
    spent: Duration,
}

impl Worker {
    fn new(tls: Tls<Talk>) -> Worker {
        Worker {
            tls,
            counters: Counters::default(),
            buffer: Vec::new(),
            spent: Duration::ZERO,
        }
    }

    /// What is then to be sent, in a buffer to be given back.
    fn event(
        &mut self,
        id: usize,
        event: impl FnOnce(&mut Tls<Talk>, &At, &mut Outbox),
    ) -> Vec<u8> {
        let at = At {
            id: id as u32,
            now: Time::START,
            up_us: 0,
            counters: &self.counters,
        };
        let mut out = Outbox {
            bytes: std::mem::take(&mut self.buffer),
            ..Outbox::default()
        };
        let begun = Instant::now();
        event(&mut self.tls, &at, &mut out);
        self.spent += begun.elapsed();
        out.bytes
    }

    fn give_back(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.buffer = bytes;
    }
}

struct Pair {
    client: Worker,
    server: Worker,
    conns: Vec<(TlsConn<()>, TlsConn<()>)>,
}

impl Pair {
    fn new(version: Version, resumption: bool) -> Pair {
        let versions = Versions {
            min: version,
            max: version,
        };
        let tls = ServerTls::new(&ServerOptions {
            versions,
            resumption,
            ..ServerOptions::default()
        });
        let tls = tls.expect("a server can be set up");
        let client = ClientTls::new(&ClientOptions {
            names: vec!["localhost".into()],
            trusted: vec![tls.certificate().to_vec()],
            versions,
            resumption,
            ..ClientOptions::default()
        });
        let client = client.expect("a client can be set up");
        Pair {
            client: Worker::new(Tls::client(Talk(Vec::new(), 0), &client)),
            server: Worker::new(Tls::server(Talk(Vec::new(), 0), &tls)),
            conns: Vec::new(),
        }
    }

    fn open(&mut self, n: usize) {
        self.conns.reserve_exact(n);
        for _ in 0..n {
            let id = self.conns.len();
            let (mut c, mut s) = <(TlsConn<()>, TlsConn<()>)>::default();
            let mut up = self
                .client
                .event(id, |t, at, out| t.opened(&mut c, at, out));
            self.server
                .event(id, |t, at, out| t.opened(&mut s, at, out));
            while !up.is_empty() {
                let down = self
                    .server
                    .event(id, |t, at, out| t.received(&mut s, &up, at, out));
                up = self
                    .client
                    .event(id, |t, at, out| t.received(&mut c, &down, at, out));
            }
            self.conns.push((c, s));
        }
        assert_eq!(
            self.client.counters.read().tls.secured,
            self.conns.len() as u64
        );
    }

    /// Times of sealing and of opening a record of `len` bytes, over all connections in turn.
    fn records(&mut self, len: usize, times: usize) -> (Duration, Duration) {
        self.client.tls.inner_mut().0 = vec![7; len];
        self.server.tls.inner_mut().1 = 0;
        (self.client.spent, self.server.spent) = Default::default();
        for i in 0..times {
            let id = i % self.conns.len();
            let (c, s) = &mut self.conns[id];
            let record = self.client.event(id, |t, at, out| t.turn(c, at, out));
            let nothing = self
                .server
                .event(id, |t, at, out| t.received(s, &record, at, out));
            self.server.give_back(nothing);
            self.client.give_back(record);
        }
        assert_eq!(self.server.tls.inner_mut().1, len * times);
        let each = |spent: Duration| spent / times as u32;
        (each(self.client.spent), each(self.server.spent))
    }
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status
        .split(' ')
        .nth(1)
        .and_then(|n| n.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

/// Handshakes that are timed, and connections at rest.
const HANDSHAKES: usize = 2000;
const MANY: usize = 20_000;

fn main() {
    // First, while nothing was freed that could be used again; and all are kept to the end.
    let mut kept = Vec::new();
    for version in [Version::Tls13, Version::Tls12] {
        let mut pair = Pair::new(version, false);
        pair.open(500);
        let before = resident();
        pair.open(MANY);
        let each = (resident() - before) / MANY / 2;
        println!(
            "TLS {version} at rest: {each} bytes an end, {} of them in the table",
            size_of::<TlsConn<()>>()
        );
        kept.push((version, pair));
    }
    for (version, _) in &kept {
        for resumption in [false, true] {
            let mut pair = Pair::new(*version, resumption);
            pair.open(200);
            (pair.client.spent, pair.server.spent) = Default::default();
            let before = pair.client.counters.read().tls.resumed;
            pair.open(HANDSHAKES);
            let resumed = pair.client.counters.read().tls.resumed - before;
            println!(
                "TLS {version} handshake, {resumed} of {HANDSHAKES} resumed: client {:?}, server {:?}",
                pair.client.spent / HANDSHAKES as u32,
                pair.server.spent / HANDSHAKES as u32
            );
        }
    }
    for (version, mut many) in kept {
        let mut one = Pair::new(version, false);
        one.open(1);
        for (what, pair) in [("one connection", &mut one), ("20,000 by turns", &mut many)] {
            for (len, times) in [(16, 400_000), (1024, 200_000), (16384, 20_000)] {
                pair.records(len, times / 10);
                let (seal, open) = pair.records(len, times);
                println!(
                    "TLS {version} record of {len} bytes, {what}: sealing {seal:?}, opening {open:?}"
                );
            }
        }
    }
}
