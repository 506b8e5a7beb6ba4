//! Both ends in this process, without a socket.

mod events;
mod handshakes;
mod illegal;
mod streams;

use crate::authority::Authority;
use crate::probe::{Answer, Probe, Seen, Step, memory};
use crate::worker::{Link, Worker};
use proptest::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;
use throng_core::behaviour::{Behaviour, Reads, Traffic};
use throng_core::protocol::tls::TlsFailure;
use throng_core::stats::Closed;
use throng_core::time::Time;
use throng_tls::{ClientOptions, ClientTls, ServerOptions, ServerTls, Tls, Version, Versions};

type End = Worker<Tls<Probe>>;

fn versions(v: Version) -> Versions {
    Versions { min: v, max: v }
}

/// A server with a certificate of its own, and what its clients need.
static SERVER: LazyLock<ServerTls> =
    LazyLock::new(|| ServerTls::new(&ServerOptions::default()).unwrap());

fn client_options(v: Version) -> ClientOptions {
    ClientOptions {
        names: vec!["localhost".into()],
        trusted: vec![SERVER.certificate().to_vec()],
        versions: versions(v),
        ..ClientOptions::default()
    }
}

struct Pair {
    client: End,
    server: End,
    client_saw: Rc<RefCell<Seen>>,
    server_saw: Rc<RefCell<Seen>>,
}

impl Pair {
    fn new(client: Probe, options: &ClientOptions, server: Probe, tls: &ServerTls) -> Pair {
        let (client_saw, server_saw) = (client.seen.clone(), server.seen.clone());
        let client = Tls::client(client, &ClientTls::new(options).unwrap());
        Pair {
            client: Worker::new(client),
            server: Worker::new(Tls::server(server, tls)),
            client_saw,
            server_saw,
        }
    }

    /// Opens a connection and carries bytes in pieces as long as `cuts` says, by turns, until both are
    /// quiet; then lets it end as its ends want it.
    fn run(&mut self, id: u32, cuts: &[usize]) -> (Link<Tls<Probe>>, Link<Tls<Probe>>) {
        let (mut c, mut s) = (self.client.open(id), self.server.open(id));
        self.carry(&mut c, &mut s, cuts);
        if c.closing {
            self.client.closed(&mut c, Closed::ByUs);
            self.server.closed(&mut s, Closed::ByPeer);
        } else if s.closing {
            self.server.closed(&mut s, Closed::ByUs);
            self.client.closed(&mut c, Closed::ByPeer);
        }
        (c, s)
    }

    fn carry(&mut self, c: &mut Link<Tls<Probe>>, s: &mut Link<Tls<Probe>>, cuts: &[usize]) {
        let mut cuts = cuts.iter().copied().cycle();
        loop {
            let up = self.client.take(c, cuts.next().unwrap());
            if !up.is_empty() {
                self.server.received(s, &up);
            }
            let down = self.server.take(s, cuts.next().unwrap());
            if !down.is_empty() {
                self.client.received(c, &down);
            }
            if up.is_empty() && down.is_empty() {
                return;
            }
        }
    }
}
