//! As much of an engine as a behaviour needs: what a connection asked to send, in order, and which sends are to be
//! reported.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use throng_core::behaviour::{At, Behaviour, Outbox, Reads, Transmit};
use throng_core::stats::{Closed, Counters};
use throng_core::time::Time;

/// After this long a test has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One worker, whose connections take turns.
pub struct Worker<B: Behaviour> {
    pub behaviour: B,
    pub counters: Counters,
    memory: Arc<[u8]>,
    began: Instant,
    /// Time that is added to the clock's.
    pub later: Duration,
}

/// One connection.
pub struct Link<B: Behaviour> {
    pub id: u32,
    pub conn: B::Conn,
    queue: VecDeque<(Vec<u8>, Option<usize>)>,
    pub closing: bool,
    pub read: usize,
    pub wake: Option<Time>,
    pub passed: u32,
    /// Bytes that were received.
    pub came: usize,
}

impl<B: Behaviour> Link<B> {
    /// How many bytes wait to be taken.
    pub fn waiting(&self) -> usize {
        self.queue.iter().map(|(bytes, _)| bytes.len()).sum()
    }
}

impl<B: Behaviour> Worker<B> {
    pub fn new(behaviour: B) -> Worker<B> {
        Worker {
            memory: behaviour.memory(),
            behaviour,
            counters: Counters::default(),
            began: Instant::now(),
            later: Duration::ZERO,
        }
    }

    pub fn now(&self) -> Time {
        Time::START + (self.began.elapsed() + self.later)
    }

    fn event(
        &mut self,
        link: &mut Link<B>,
        got: &[u8],
        event: impl FnOnce(&mut B, &mut B::Conn, &At, &mut Outbox),
    ) {
        let at = At {
            id: link.id,
            now: self.now(),
            up_us: 0,
            counters: &self.counters,
        };
        let mut out = Outbox::default();
        event(&mut self.behaviour, &mut link.conn, &at, &mut out);
        match out.send {
            Transmit::Nothing => {
                assert!(out.bytes.is_empty(), "bytes without a request to send them")
            }
            Transmit::Memory(range) => {
                let bytes = &self.memory[range.start as usize..range.end as usize];
                link.queue.push_back((bytes.to_vec(), Some(bytes.len())));
            }
            Transmit::Bytes => {
                let len = out.bytes.len();
                let under_way = link.queue.iter().any(|(_, tell)| tell.is_some());
                assert!(!under_way, "one send that is to be reported at a time");
                link.queue.push_back((out.bytes, Some(len)));
            }
            Transmit::Back => link.queue.push_back((got.to_vec(), None)),
            Transmit::Reply => link.queue.push_back((out.bytes, None)),
            Transmit::Across(_) => panic!("no behaviour in TLS has pairs"),
        }
        link.closing |= out.close;
        link.passed += out.pass;
        link.read = link.read.max(out.read as usize);
        if out.wake.is_some() {
            link.wake = out.wake;
        }
    }

    pub fn open(&mut self, id: u32) -> Link<B> {
        let mut link = Link {
            id,
            conn: B::Conn::default(),
            queue: VecDeque::new(),
            closing: false,
            read: 0,
            wake: None,
            passed: 0,
            came: 0,
        };
        self.event(&mut link, &[], |b, c, at, out| b.opened(c, at, out));
        link
    }

    pub fn started(&mut self, link: &mut Link<B>) {
        self.event(link, &[], |b, c, at, out| b.started(c, at, out));
    }

    pub fn turn(&mut self, link: &mut Link<B>) {
        self.event(link, &[], |b, c, at, out| b.turn(c, at, out));
    }

    pub fn received(&mut self, link: &mut Link<B>, bytes: &[u8]) {
        link.came += bytes.len();
        self.event(link, bytes, |b, c, at, out| b.received(c, bytes, at, out));
    }

    pub fn woken(&mut self, link: &mut Link<B>) {
        self.event(link, &[], |b, c, at, out| b.woken(c, at, out));
    }

    pub fn closed(&mut self, link: &mut Link<B>, why: Closed) {
        let at = At {
            id: link.id,
            now: self.now(),
            up_us: 0,
            counters: &self.counters,
        };
        self.behaviour.closed(&mut link.conn, why, &at);
    }

    /// Up to `most` of the bytes to be sent, as a kernel would take them.
    pub fn take(&mut self, link: &mut Link<B>, most: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some((bytes, _)) = link.queue.front_mut() else {
                break;
            };
            let n = bytes.len().min(most - taken.len());
            taken.extend(bytes.drain(..n));
            if bytes.is_empty()
                && let Some((_, Some(n))) = link.queue.pop_front()
            {
                self.event(link, &[], |b, c, at, out| b.sent(c, n, at, out));
            }
        }
        taken
    }

    /// Whether nothing is left to be sent.
    pub fn is_quiet(link: &Link<B>) -> bool {
        link.queue.is_empty()
    }

    /// Drives a connection over a socket until it ends, or `enough` says so (then it is left open).
    /// Returns how it ended.
    pub fn drive(
        &mut self,
        link: &mut Link<B>,
        socket: &mut TcpStream,
        mut enough: impl FnMut(&Worker<B>, &Link<B>) -> bool,
    ) -> Option<Closed> {
        let begun = Instant::now();
        let mut buffer = vec![0; 16 * 1024];
        socket
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        socket.set_nodelay(true).unwrap();
        let ended = loop {
            assert!(begun.elapsed() < PATIENCE, "nothing more happens");
            let out = self.take(link, 64 * 1024);
            if !out.is_empty() && socket.write_all(&out).is_err() {
                break Closed::ResetByPeer;
            }
            if link.closing && Self::is_quiet(link) {
                break Closed::ByUs;
            }
            if enough(self, link) {
                return None;
            }
            if link.wake.is_some_and(|at| at <= self.now()) {
                link.wake = None;
                self.woken(link);
            }
            let most = match self.behaviour.reads() {
                Reads::Asked => std::mem::take(&mut link.read),
                Reads::All | Reads::Counts | Reads::Looks | Reads::Discards | Reads::Never => {
                    buffer.len()
                }
            };
            let most = most.min(buffer.len());
            if most == 0 {
                continue;
            }
            match socket.read(&mut buffer[..most]) {
                Ok(0) => break Closed::ByPeer,
                Ok(n) => self.received(link, &buffer[..n]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    link.read = link.read.max(most);
                }
                Err(_) => break Closed::ResetByPeer,
            }
        };
        self.closed(link, ended);
        Some(ended)
    }
}
