//! [`Headed`], the behaviour around a server's that accepts a header of the PROXY protocol before everything else.

use super::clients::Clients;
use super::parts::{Begins, Parts};
use super::{Header, WITHIN};
use crate::behaviour::{At, Behaviour, Outbox, Reads, Steer, Traffic, Transmit};
use crate::stats::{Closed, Measured};
use crate::time::Time;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The amount to read at a time until the header is here, from an engine that reads only on request.
const READ: u32 = 1024;

/// A header before a server's behaviour. That one sees a connection once the header is here, under the same number.
pub struct Headed<B: Behaviour> {
    inner: B,
    reads: Reads,
    parts: Parts,
    /// What came behind headers on connections that had something else to send first, by their numbers: it goes with the next bytes.
    rests: HashMap<u32, Vec<u8>>,
    /// The clients that were named. This worker writes, and whoever sums up reads.
    clients: Arc<Mutex<Clients>>,
}

/// The state of a connection: a byte, in addition to that of the inner behaviour.
#[derive(Debug, Default)]
pub struct HeadedConn<C> {
    inner: C,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Not established, or given up.
    #[default]
    Over,
    /// The header is awaited.
    Awaited,
    /// The inner behaviour has the connection.
    Begun,
    /// The same, and it has asked to be woken, which takes the place of the time limit for the header.
    Timed,
}

impl Stage {
    fn is_begun(self) -> bool {
        matches!(self, Stage::Begun | Stage::Timed)
    }
}

impl<B: Behaviour> Headed<B> {
    /// Headers before `inner`, which sends and reads on each connection by itself: turns are not passed to it.
    pub fn new(inner: B, clients: Arc<Mutex<Clients>>) -> Headed<B> {
        Headed {
            reads: inner.reads(),
            inner,
            parts: Parts::default(),
            rests: HashMap::new(),
            clients,
        }
    }

    fn await_header(
        &mut self,
        conn: &mut HeadedConn<B::Conn>,
        bytes: &[u8],
        at: &At,
        out: &mut Outbox,
    ) {
        match self.parts.take(at.id, bytes, &at.counters.proxy_protocol) {
            Begins::Part => out.read = READ,
            Begins::Wrong => give_up(conn, out),
            Begins::Header(header, rest) => self.begin(conn, &header, &bytes[rest..], at, out),
        }
    }

    /// The header is here; `rest` came behind it.
    fn begin(
        &mut self,
        conn: &mut HeadedConn<B::Conn>,
        header: &Header,
        rest: &[u8],
        at: &At,
        out: &mut Outbox,
    ) {
        if let Some((client, _)) = header.addresses {
            let clients = self.clients.lock();
            let mut clients = clients.unwrap_or_else(PoisonError::into_inner);
            clients.named(client);
        }
        conn.stage = Stage::Begun;
        self.inner.opened(&mut conn.inner, at, out);
        if self.reads == Reads::Never {
            out.watch = true;
        }
        if rest.is_empty() || out.close {
            return;
        }
        let counts = self.reads.only_counts() && !self.inner.looks(&conn.inner);
        match out.send == Transmit::Nothing || counts {
            true => self.deliver_kept(conn, rest, at, out),
            // One send at a time.
            false => _ = self.rests.insert(at.id, rest.to_vec()),
        }
    }

    /// Passes bytes on that are not those just received.
    fn deliver_kept(
        &mut self,
        conn: &mut HeadedConn<B::Conn>,
        bytes: &[u8],
        at: &At,
        out: &mut Outbox,
    ) {
        self.inner.take(&mut conn.inner, bytes, at, out);
        if out.send == Transmit::Back {
            out.bytes.extend_from_slice(bytes);
            out.send = Transmit::Reply;
        }
    }
}

fn give_up<C>(conn: &mut HeadedConn<C>, out: &mut Outbox) {
    conn.stage = Stage::Over;
    out.close = true;
}

/// The inner behaviour answered an event.
fn answered<C>(conn: &mut HeadedConn<C>, out: &Outbox) {
    if out.wake.is_some() && conn.stage == Stage::Begun {
        conn.stage = Stage::Timed;
    }
}

impl<B: Behaviour> Behaviour for Headed<B> {
    type Conn = HeadedConn<B::Conn>;
    const SKIPS: bool = B::SKIPS;

    fn memory(&self) -> Arc<[u8]> {
        self.inner.memory()
    }

    fn reads(&self) -> Reads {
        match self.reads {
            Reads::All => Reads::All,
            // The header must be read.
            Reads::Counts | Reads::Looks | Reads::Discards => Reads::Looks,
            Reads::Asked | Reads::Never => Reads::Asked,
        }
    }

    fn looks(&self, conn: &Self::Conn) -> bool {
        match conn.stage {
            Stage::Awaited => true,
            Stage::Begun | Stage::Timed => {
                self.reads == Reads::Looks && self.inner.looks(&conn.inner)
            }
            Stage::Over => false,
        }
    }

    fn skips(&self, conn: &Self::Conn) -> u64 {
        match conn.stage.is_begun() {
            true => self.inner.skips(&conn.inner),
            false => 0,
        }
    }

    fn opened(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        conn.stage = Stage::Awaited;
        out.wake = Some(at.now + WITHIN);
        out.read = READ;
    }

    fn started(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        if conn.stage.is_begun() {
            self.inner.started(&mut conn.inner, at, out);
            answered(conn, out);
        }
    }

    fn received(&mut self, conn: &mut Self::Conn, bytes: &[u8], at: &At, out: &mut Outbox) {
        match conn.stage {
            Stage::Over => return,
            Stage::Awaited => self.await_header(conn, bytes, at, out),
            Stage::Begun | Stage::Timed => match self.rests.remove(&at.id) {
                None => self.inner.take(&mut conn.inner, bytes, at, out),
                Some(mut all) => {
                    all.extend_from_slice(bytes);
                    self.deliver_kept(conn, &all, at, out);
                }
            },
        }
        answered(conn, out);
    }

    fn counted(&mut self, conn: &mut Self::Conn, n: usize, at: &At, out: &mut Outbox) {
        if conn.stage.is_begun() && self.reads != Reads::Discards {
            self.inner.counted(&mut conn.inner, n, at, out);
            answered(conn, out);
        }
    }

    fn sent(&mut self, conn: &mut Self::Conn, n: usize, at: &At, out: &mut Outbox) {
        if conn.stage.is_begun() {
            self.inner.sent(&mut conn.inner, n, at, out);
            answered(conn, out);
        }
    }

    fn woken(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        match conn.stage {
            Stage::Timed => self.inner.woken(&mut conn.inner, at, out),
            Stage::Over | Stage::Begun => {}
            Stage::Awaited => {
                let left = WITHIN.saturating_sub(at.since_up());
                if !left.is_zero() {
                    out.wake = Some(at.now + left);
                    return;
                }
                at.counters.proxy_protocol.late.add(1);
                self.parts.forget(at.id);
                give_up(conn, out);
            }
        }
    }

    fn is_done(&mut self, conn: &mut Self::Conn, why: Closed) -> bool {
        conn.stage.is_begun() && self.inner.is_done(&mut conn.inner, why)
    }

    fn farewell(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        match conn.stage.is_begun() {
            true => self.inner.farewell(&mut conn.inner, at, out),
            false => out.close = true,
        }
    }

    fn parting(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Vec<u8>) {
        if conn.stage.is_begun() {
            self.inner.parting(&mut conn.inner, at, out);
        }
    }

    fn closed(&mut self, conn: &mut Self::Conn, why: Closed, at: &At) {
        match conn.stage {
            Stage::Awaited => {
                let by_peer = why != Closed::ByUs;
                at.counters.proxy_protocol.cut_off.add(by_peer.into());
                self.parts.forget(at.id);
            }
            Stage::Begun | Stage::Timed => {
                self.rests.remove(&at.id);
                self.inner.closed(&mut conn.inner, why, at);
            }
            Stage::Over => {}
        }
        conn.stage = Stage::Over;
    }

    fn traffic(&mut self, traffic: Traffic, now: Time) {
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
