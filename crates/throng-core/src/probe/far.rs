//! The far end of a probe, without I/O: what it answers to a line, when it speaks by itself, and what it remembers of
//! connections that have ended.

use super::host_facts::HostFacts;
use super::line::Lines;
use super::tcp_info::TcpInfo;
use super::wire::{Answer, End, Fate, Greeting, Name, Request, State};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Connections that have ended of which the far end still knows how.
const REMEMBERED: usize = 100_000;
/// Numbers that a connection may wait for at once.
const MOST_WAITING: usize = 16;

/// What the far end has to look at: its kernel.
pub trait Look {
    /// The kernel's view of an open connection.
    fn info(&self, connection: u64) -> Option<TcpInfo>;
    /// Settings and counters.
    fn host(&self) -> HostFacts;
}

/// What follows from bytes that arrived.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    /// What to send.
    pub send: Vec<u8>,
    /// Read nothing more from the connection for this long.
    pub stall: Option<Duration>,
    /// Close the connection: it does not speak as a near end does.
    pub close: bool,
}

/// An open connection.
#[derive(Debug)]
struct Conn {
    peer: SocketAddr,
    at: SocketAddr,
    name: Option<Name>,
    lines: Lines,
    last_byte: Duration,
    said: u64,
    waiting: usize,
}

/// A connection that has ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    state: State,
    quiet: Duration,
    said: u64,
}

/// The far end. Connections are known by numbers that its driver chooses; times are since its start.
#[derive(Debug)]
pub struct Far {
    server: u64,
    open: HashMap<u64, Conn>,
    named: HashMap<Name, u64>,
    ended: HashMap<Name, Ended>,
    /// In the order in which they ended.
    oldest: VecDeque<Name>,
    /// When it speaks: time, connection, number.
    says: BTreeSet<(Duration, u64, u64)>,
}

impl Far {
    /// A far end without connections. `server` tells it from others.
    pub fn new(server: u64) -> Far {
        Far {
            server,
            open: HashMap::new(),
            named: HashMap::new(),
            ended: HashMap::new(),
            oldest: VecDeque::new(),
            says: BTreeSet::new(),
        }
    }

    /// A connection was accepted.
    pub fn accepted(&mut self, connection: u64, peer: SocketAddr, at: SocketAddr, now: Duration) {
        let conn = Conn {
            peer,
            at,
            name: None,
            lines: Lines::default(),
            last_byte: now,
            said: 0,
            waiting: 0,
        };
        self.open.insert(connection, conn);
    }

    /// Bytes arrived.
    pub fn received(
        &mut self,
        connection: u64,
        bytes: &[u8],
        now: Duration,
        look: &impl Look,
    ) -> Outbox {
        let mut out = Outbox::default();
        let Some(conn) = self.open.get_mut(&connection) else {
            return out;
        };
        conn.last_byte = now;
        let lines = conn.lines.feed(bytes);
        let Some(lines) = lines else {
            out.close = true;
            return out;
        };
        for line in lines {
            let Ok(request) = line.parse() else {
                out.close = true;
                return out;
            };
            match self.answer(connection, request, now, look, &mut out) {
                None => {
                    out.close = true;
                    return out;
                }
                Some(Some(answer)) => out.send.extend(format!("{answer}\n").bytes()),
                Some(None) => {}
            }
        }
        out
    }

    /// The answer to a request, if it has one at once; `None` if it is out of place.
    fn answer(
        &mut self,
        connection: u64,
        request: Request,
        now: Duration,
        look: &impl Look,
        out: &mut Outbox,
    ) -> Option<Option<Answer>> {
        let conn = self.open.get_mut(&connection)?;
        if conn.name.is_some() == matches!(request, Request::Hello(_)) {
            return None;
        }
        let answer = match request {
            Request::Hello(name) => {
                conn.name = Some(name);
                self.named.insert(name, connection);
                Answer::Hello(Greeting {
                    server: self.server,
                    seen: conn.peer,
                    at: conn.at,
                })
            }
            Request::Echo(number) => Answer::Echo(number),
            Request::Say { after_ms, number } => {
                conn.waiting += 1;
                if conn.waiting > MOST_WAITING {
                    return None;
                }
                let due = now + Duration::from_millis(after_ms);
                self.says.insert((due, connection, number));
                return Some(None);
            }
            Request::SayOn { name, number } => {
                if let Some(other) = self.named.get(&name).copied()
                    && let Some(conn) = self.open.get_mut(&other)
                {
                    conn.waiting += 1;
                    self.says.insert((now, other, number));
                }
                return Some(None);
            }
            Request::Info => Answer::Info(look.info(connection)?),
            Request::Of(name) => Answer::Of(self.fate(name, now, look)),
            Request::Host => Answer::Host(look.host()),
            Request::Stall(ms) => {
                out.stall = Some(Duration::from_millis(ms));
                return Some(None);
            }
            Request::Fill(bytes) => Answer::Filled(bytes),
            Request::Send(bytes) => Answer::Fill(bytes),
        };
        Some(Some(answer))
    }

    fn fate(&self, name: Name, now: Duration, look: &impl Look) -> Fate {
        if let Some(ended) = self.ended.get(&name) {
            return Fate {
                state: ended.state,
                quiet_ms: ended.quiet.as_millis() as u64,
                said: ended.said,
                unacknowledged: 0,
                received: 0,
            };
        }
        let open = self.named.get(&name);
        let open = open.and_then(|connection| Some((*connection, self.open.get(connection)?)));
        let Some((connection, conn)) = open else {
            return Fate {
                state: State::Unknown,
                quiet_ms: 0,
                said: 0,
                unacknowledged: 0,
                received: 0,
            };
        };
        let info = look.info(connection).unwrap_or_default();
        Fate {
            state: State::Open,
            quiet_ms: now.saturating_sub(conn.last_byte).as_millis() as u64,
            said: conn.said,
            unacknowledged: info.unacknowledged,
            received: info.received_bytes,
        }
    }

    /// When it next speaks by itself.
    pub fn next_due(&self) -> Option<Duration> {
        self.says.first().map(|(due, _, _)| *due)
    }

    /// What it says by now, by itself: connections and bytes.
    pub fn due(&mut self, now: Duration) -> Vec<(u64, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(&(due, connection, number)) = self.says.first() {
            if due > now {
                break;
            }
            self.says.pop_first();
            if let Some(conn) = self.open.get_mut(&connection) {
                // The silence that counts is the one before.
                conn.last_byte = now;
                conn.said += 1;
                conn.waiting -= 1;
                let line = format!("{}\n", Answer::Said(number));
                all.push((connection, line.into_bytes()));
            }
        }
        all
    }

    /// A connection ended, by the peer's doing or the network's.
    pub fn ended(&mut self, connection: u64, end: End, now: Duration) {
        self.forget(connection, State::Ended(end), now);
    }

    /// A connection was closed here.
    pub fn closed(&mut self, connection: u64, now: Duration) {
        self.forget(connection, State::ClosedHere, now);
    }

    fn forget(&mut self, connection: u64, state: State, now: Duration) {
        let Some(conn) = self.open.remove(&connection) else {
            return;
        };
        if conn.waiting > 0 {
            self.says.retain(|(_, of, _)| *of != connection);
        }
        let Some(name) = conn.name else {
            return;
        };
        self.named.remove(&name);
        let ended = Ended {
            state,
            quiet: now.saturating_sub(conn.last_byte),
            said: conn.said,
        };
        if self.ended.insert(name, ended).is_none() {
            self.oldest.push_back(name);
        }
        if self.oldest.len() > REMEMBERED
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Kernel;

    impl Look for Kernel {
        fn info(&self, _: u64) -> Option<TcpInfo> {
            Some(TcpInfo {
                unacknowledged: 3,
                received_bytes: 40,
                ..TcpInfo::default()
            })
        }

        fn host(&self) -> HostFacts {
            HostFacts::default()
        }
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn far_with(connections: u64) -> Far {
        let mut far = Far::new(0xabc);
        for connection in 0..connections {
            let peer = ([10, 0, 0, 1], 4000 + connection as u16).into();
            far.accepted(connection, peer, ([10, 0, 0, 2], 9000).into(), at(0));
            let hello = Request::Hello(Name {
                run: 7,
                index: connection as u32,
            });
            let out = far.received(connection, format!("{hello}\n").as_bytes(), at(0), &Kernel);
            let answer = String::from_utf8(out.send).unwrap();
            let port = 4000 + connection;
            assert_eq!(
                answer,
                format!("throng-probe/1 0000000000000abc 10.0.0.1:{port} 10.0.0.2:9000\n")
            );
        }
        far
    }

    #[test]
    fn it_speaks_when_it_was_asked_to() {
        let mut far = far_with(2);
        far.received(0, b"say 5500 1\n", at(0), &Kernel);
        far.received(1, b"say 4500 2\necho 9\n", at(10), &Kernel);
        assert_eq!(far.next_due(), Some(at(4510)));
        assert_eq!(far.due(at(4509)), []);
        assert_eq!(far.due(at(4510)), [(1, b"said 2\n".to_vec())]);
        assert_eq!(far.next_due(), Some(at(5500)));
        far.ended(0, End::Reset, at(5000));
        assert_eq!((far.next_due(), far.open()), (None, 1));
        far.received(1, b"say-on 7 1 8\nsay-on 7 0 9\n", at(6000), &Kernel);
        assert_eq!(far.due(at(6000)), [(1, b"said 8\n".to_vec())]);
    }

    #[test]
    fn it_tells_what_became_of_a_connection() {
        let mut far = far_with(4);
        far.received(0, b"echo 1\n", at(1000), &Kernel);
        far.ended(1, End::Closed, at(5020));
        far.closed(2, at(3000));
        for (index, told) in [
            (0, "of open 8000 0 3 40"),
            (1, "of closed 5020 0 0 0"),
            (2, "of closed_here 3000 0 0 0"),
            (9, "of unknown 0 0 0 0"),
        ] {
            let ask = format!("of 7 {index}\n");
            let out = far.received(3, ask.as_bytes(), at(9000), &Kernel);
            assert_eq!(String::from_utf8(out.send).unwrap(), format!("{told}\n"));
        }
    }

    #[test]
    fn who_does_not_speak_as_a_near_end_is_closed() {
        for said in [
            "GET / HTTP/1.1\n",
            "echo 1\n",
            "throng-probe/1 7 0\nthrong-probe/1 7 0\n",
        ] {
            let mut far = Far::new(1);
            far.accepted(
                0,
                ([10, 0, 0, 1], 1).into(),
                ([10, 0, 0, 2], 2).into(),
                at(0),
            );
            assert!(
                far.received(0, said.as_bytes(), at(1), &Kernel).close,
                "{said}"
            );
        }
    }

    #[test]
    fn it_stalls_and_fills_as_asked() {
        let mut far = far_with(1);
        let out = far.received(0, b"fill xxxx\nsend 3\nstall 2000\n", at(0), &Kernel);
        assert_eq!(out.send, b"filled 4\nfill xxx\n");
        assert_eq!(out.stall, Some(at(2000)));
    }
}
