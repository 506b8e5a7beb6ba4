//! What tests of servers share: a server with one connection, without a socket.

use crate::behaviour::{At, Behaviour, Outbox, Transmit};
use crate::stats::{Closed, Counters, Tally};
use crate::time::Time;

/// A server with one connection, and all that it sent on it.
pub struct Rig<B: Behaviour> {
    pub server: B,
    pub conn: B::Conn,
    pub counters: Counters,
    pub sent: Vec<u8>,
    pub closed: bool,
    /// When it asked to be woken.
    pub wake: Option<Time>,
    pub now: Time,
}

impl<B: Behaviour> Rig<B> {
    /// The server, and a connection that was accepted just now.
    pub fn of(server: B) -> Rig<B> {
        let mut rig = Rig {
            server,
            conn: B::Conn::default(),
            counters: Counters::default(),
            sent: Vec::new(),
            closed: false,
            wake: None,
            now: Time(0),
        };
        rig.event(|server, conn, at, out| server.opened(conn, at, out));
        rig
    }

    /// Passes an event on, and completes each send that it asks for.
    pub fn event(&mut self, event: impl FnOnce(&mut B, &mut B::Conn, &At, &mut Outbox)) {
        let at = At {
            id: 0,
            now: self.now,
            up_us: 0,
            counters: &self.counters,
        };
        let mut out = Outbox::default();
        event(&mut self.server, &mut self.conn, &at, &mut out);
        loop {
            assert!(!self.closed || out.is_done(), "sent after its end");
            self.closed |= out.close;
            self.wake = out.wake.or(self.wake);
            let done = std::mem::take(&mut out);
            let n = match done.send {
                Transmit::Nothing => {
                    assert!(done.bytes.is_empty());
                    return;
                }
                Transmit::Memory(range) => {
                    assert!(done.bytes.is_empty());
                    let memory = self.server.memory();
                    let bytes = &memory[range.start as usize..range.end as usize];
                    self.sent.extend_from_slice(bytes);
                    bytes.len()
                }
                Transmit::Bytes => {
                    self.sent.extend(&done.bytes);
                    done.bytes.len()
                }
                Transmit::Reply => {
                    assert!(!done.bytes.is_empty());
                    self.sent.extend(&done.bytes);
                    return;
                }
                Transmit::Back | Transmit::Across(_) => panic!("nothing is sent on as it is"),
            };
            if self.closed {
                return;
            }
            self.server.sent(&mut self.conn, n, &at, &mut out);
        }
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        self.event(|server, conn, at, out| server.received(conn, bytes, at, out));
    }

    /// Wakes it when it asked to be woken. Returns whether it had asked.
    pub fn wake(&mut self) -> bool {
        let Some(wake) = self.wake.take() else {
            return false;
        };
        self.now = wake;
        self.event(|server, conn, at, out| server.woken(conn, at, out));
        true
    }

    /// Wakes it, as it asked for. Returns whether it is closed then; if it is not, it asked again.
    pub fn quiet(&mut self) -> bool {
        assert!(self.wake(), "it did not ask to be woken");
        assert_ne!(self.wake.is_some(), self.closed);
        self.closed
    }

    /// Its peer closes the connection. Returns what was counted.
    pub fn closed(&mut self) -> Tally {
        let at = At {
            id: 0,
            now: self.now,
            up_us: 0,
            counters: &self.counters,
        };
        self.server.closed(&mut self.conn, Closed::ByPeer, &at);
        self.counters.read()
    }
}
