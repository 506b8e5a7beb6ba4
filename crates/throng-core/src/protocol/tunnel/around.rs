//! [`Tunnel`], the behaviour around a behaviour that opens a tunnel first.

use super::counts::TunnelFailure;
use crate::behaviour::{At, Behaviour, Choose, Outbox, Reads, Steer, Traffic, Transmit};
use crate::partials::{Partials, Slot};
use crate::protocol::http::head::{self, Gathered, MAX_FIELDS};
use crate::stats::{Closed, Measured};
use crate::time::Time;
use base64::prelude::{BASE64_STANDARD, Engine};
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Duration;

/// The amount to read at a time until the tunnel is open, from an engine that reads only on request.
const READ: u32 = 1024;

/// What tunnels are opened to, and how.
#[derive(Clone, Debug)]
pub struct TunnelOptions {
    /// The request for a tunnel to each target.
    requests: Arc<[Box<[u8]>]>,
    timeout: Duration,
}

impl TunnelOptions {
    /// Tunnels to targets, each `HOST:PORT`, with `USER:PASSWORD` for the proxy if it wants that. The proxy has to answer within
    /// `timeout`.
    pub fn new(
        targets: impl IntoIterator<Item = String>,
        auth: Option<&str>,
        timeout: Duration,
    ) -> TunnelOptions {
        let auth = auth.map_or_else(String::new, |both| {
            let both = BASE64_STANDARD.encode(both);
            format!("Proxy-Authorization: Basic {both}\r\n")
        });
        let request = |to: String| {
            format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{auth}\r\n")
                .into_bytes()
                .into_boxed_slice()
        };
        TunnelOptions {
            requests: targets.into_iter().map(request).collect(),
            timeout,
        }
    }
}

/// A tunnel around another behaviour. That one sees a connection once the proxy has opened the tunnel, under the same number.
pub struct Tunnel<B: Behaviour> {
    inner: B,
    reads: Reads,
    options: TunnelOptions,
    /// The target of a connection.
    choose: Choose,
    partials: Partials,
    traffic: Traffic,
    /// Connections that the inner behaviour knows.
    open: u32,
    /// Turns that arrived while there were none.
    turns: u32,
}

/// The state of a connection: 8 bytes, in addition to that of the inner behaviour.
#[derive(Debug, Default)]
pub struct TunnelConn<C> {
    inner: C,
    /// The first part of the proxy's answer. Once the tunnel is open: what came behind it, which goes with the next bytes.
    part: Slot,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Not established, or given up.
    #[default]
    Over,
    /// The proxy has been asked.
    Asked,
    /// The tunnel is open.
    Open,
    /// The same, and the inner behaviour knows that traffic may begin.
    Begun,
}

impl Stage {
    fn is_open(self) -> bool {
        matches!(self, Stage::Open | Stage::Begun)
    }
}

impl<B: Behaviour> Tunnel<B> {
    /// Tunnels around `inner`, each to the target that `choose` says for the number of its connection.
    pub fn new(inner: B, options: TunnelOptions, choose: Choose) -> Tunnel<B> {
        Tunnel {
            reads: inner.reads(),
            inner,
            options,
            choose,
            partials: Partials::default(),
            traffic: Traffic::On,
            open: 0,
            turns: 0,
        }
    }

    /// Reads the proxy's answer.
    fn read(&mut self, conn: &mut TunnelConn<B::Conn>, bytes: &[u8], at: &At, out: &mut Outbox) {
        let mut rest = bytes;
        loop {
            match head::gather(&mut conn.part, &mut self.partials, rest, status) {
                Ok(Gathered::Part) => {
                    out.read = READ;
                    return;
                }
                Ok(Gathered::Whole(code, used)) => {
                    rest = &rest[used..];
                    match code {
                        // Another answer follows (RFC 9110, section 15.2).
                        100..200 if code != 101 => {}
                        200..300 => return self.opened_to(conn, rest, at, out),
                        _ => {
                            at.counters.tunnel.refused(code);
                            return self.give_up(conn, out);
                        }
                    }
                }
                Ok(Gathered::TooLong) | Err(()) => {
                    at.counters.tunnel.failed(TunnelFailure::NotHttp);
                    return self.give_up(conn, out);
                }
            }
        }
    }

    /// The tunnel is open; `rest` came behind the proxy's answer.
    fn opened_to(
        &mut self,
        conn: &mut TunnelConn<B::Conn>,
        rest: &[u8],
        at: &At,
        out: &mut Outbox,
    ) {
        at.counters.tunnel.opened.add(1);
        conn.stage = match self.traffic {
            Traffic::On => Stage::Begun,
            Traffic::Waiting | Traffic::Off => Stage::Open,
        };
        self.open += 1;
        out.pass += std::mem::take(&mut self.turns);
        if !rest.is_empty() {
            self.partials.append(&mut conn.part, rest);
        }
        self.inner.opened(&mut conn.inner, at, out);
        if self.reads == Reads::Never {
            out.watch = true;
        }
    }

    fn give_up(&mut self, conn: &mut TunnelConn<B::Conn>, out: &mut Outbox) {
        self.partials.drop_at(&mut conn.part);
        conn.stage = Stage::Over;
        out.close = true;
    }

    /// When the proxy has had time enough.
    fn due(&self, at: &At) -> Time {
        at.now + self.options.timeout.saturating_sub(at.since_up())
    }
}

/// The status of an answer, and the size of its head once that is complete. Its framing does not matter: a tunnel begins
/// behind the head, and any other answer ends the connection.
fn status(bytes: &[u8]) -> Result<Option<(u16, usize)>, ()> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut answer = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut answer, bytes, &mut space) {
        Ok(httparse::Status::Complete(size)) => Ok(answer.code.map(|code| (code, size))),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(()),
    }
}

impl<B: Behaviour> Behaviour for Tunnel<B> {
    type Conn = TunnelConn<B::Conn>;

    fn memory(&self) -> Arc<[u8]> {
        self.inner.memory()
    }

    fn reads(&self) -> Reads {
        match self.reads {
            // The proxy's answer must be read.
            Reads::All | Reads::Counts | Reads::Looks | Reads::Discards => Reads::All,
            Reads::Asked | Reads::Never => Reads::Asked,
        }
    }

    fn opened(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        let place = (self.choose)(at.id);
        let requests = &self.options.requests;
        if let Some(request) = requests.get(place).or(requests.first()) {
            out.bytes.extend_from_slice(request);
        }
        out.send = Transmit::Reply;
        out.wake = Some(self.due(at));
        out.read = READ;
        conn.stage = Stage::Asked;
    }

    fn started(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        if conn.stage == Stage::Open {
            conn.stage = Stage::Begun;
            self.inner.started(&mut conn.inner, at, out);
        }
    }

    fn received(&mut self, conn: &mut Self::Conn, bytes: &[u8], at: &At, out: &mut Outbox) {
        match conn.stage {
            Stage::Over => {}
            Stage::Asked => self.read(conn, bytes, at, out),
            Stage::Open | Stage::Begun if conn.part.is_empty() => {
                self.inner.take(&mut conn.inner, bytes, at, out);
            }
            Stage::Open | Stage::Begun => {
                let mut all = self.partials.take(&mut conn.part);
                all.extend_from_slice(bytes);
                self.inner.take(&mut conn.inner, &all, at, out);
                self.partials.give_back(all);
            }
        }
    }

    fn sent(&mut self, conn: &mut Self::Conn, n: usize, at: &At, out: &mut Outbox) {
        if conn.stage.is_open() {
            self.inner.sent(&mut conn.inner, n, at, out);
        }
    }

    fn woken(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        match conn.stage {
            Stage::Over => {}
            Stage::Asked if self.due(at) > at.now => out.wake = Some(self.due(at)),
            Stage::Asked => {
                at.counters.tunnel.failed(TunnelFailure::TimedOut);
                self.give_up(conn, out);
                out.abandon = true;
            }
            Stage::Open | Stage::Begun => self.inner.woken(&mut conn.inner, at, out),
        }
    }

    fn turn(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        if conn.stage.is_open() {
            self.inner.turn(&mut conn.inner, at, out);
        } else if self.open > 0 {
            out.pass += 1;
        } else {
            // No connection can take it, and passing it around would take all the processor time.
            self.turns += 1;
        }
    }

    // While no tunnel is open, arrivals wait in the inner behaviour: no connection can take them.

    fn arrived(&mut self, now: Time) -> u32 {
        match self.open {
            0 => 0,
            _ => self.inner.arrived(now),
        }
    }

    fn next_arrival(&self) -> Option<Time> {
        self.inner.next_arrival().filter(|_| self.open > 0)
    }

    fn is_done(&mut self, conn: &mut Self::Conn, why: Closed) -> bool {
        conn.stage.is_open() && self.inner.is_done(&mut conn.inner, why)
    }

    fn farewell(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        match conn.stage.is_open() {
            true => self.inner.farewell(&mut conn.inner, at, out),
            false => out.close = true,
        }
    }

    fn parting(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Vec<u8>) {
        if conn.stage.is_open() {
            self.inner.parting(&mut conn.inner, at, out);
        }
    }

    fn closed(&mut self, conn: &mut Self::Conn, why: Closed, at: &At) {
        match conn.stage {
            Stage::Asked if why != Closed::ByUs => {
                at.counters.tunnel.failed(TunnelFailure::Closed);
            }
            Stage::Open | Stage::Begun => {
                self.open -= 1;
                self.inner.closed(&mut conn.inner, why, at);
            }
            Stage::Asked | Stage::Over => {}
        }
        self.partials.drop_at(&mut conn.part);
        conn.stage = Stage::Over;
    }

    fn traffic(&mut self, traffic: Traffic, now: Time) {
        self.traffic = traffic;
        self.inner.traffic(traffic, now);
    }

    fn steer(&mut self, to: &Steer) -> bool {
        self.inner.steer(to)
    }

    fn take_measured(&mut self) -> Measured {
        self.inner.take_measured()
    }
}

#[cfg(test)]
mod tests;
