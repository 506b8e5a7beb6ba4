//! Connections over epoll: what happens on them, with the time at which it was noticed.

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use throng_core::probe::{End, TcpInfo};

/// Events that are taken from the kernel at once.
const EVENTS: usize = 256;
/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// The listener among the connections.
const LISTENER: u64 = u64::MAX;

/// What happened.
#[derive(Debug)]
pub(super) enum What {
    /// The handshake is complete.
    Up,
    /// The handshake failed.
    Failed(io::Error),
    /// Bytes arrived.
    Received(Vec<u8>),
    /// The connection ended without our doing; it is closed.
    Ended(End),
    /// Connections wait at the listener.
    Waiting,
}

/// A connection on which something happened.
#[derive(Debug)]
pub(super) struct Happened {
    /// Its number. The listener has none of meaning.
    pub flow: u64,
    /// When it was noticed.
    pub at: Instant,
    /// What it was.
    pub what: What,
}

#[derive(Debug)]
struct Flow {
    stream: TcpStream,
    connecting: bool,
    /// Nothing is read.
    stalled: bool,
    /// What the kernel did not take yet.
    rest: Vec<u8>,
}

impl Flow {
    fn interest(&self) -> EventFlags {
        let mut flags = EventFlags::empty();
        if self.connecting || !self.rest.is_empty() {
            flags |= EventFlags::OUT;
        }
        if !self.connecting && !self.stalled {
            flags |= EventFlags::IN;
        }
        flags
    }
}

/// Connections, by numbers that are never used again.
pub(super) struct Flows {
    epoll: OwnedFd,
    all: HashMap<u64, Flow>,
    next: u64,
    listener: Option<TcpListener>,
    events: Vec<Event>,
    chunk: Vec<u8>,
}

impl Flows {
    pub fn new() -> io::Result<Flows> {
        Ok(Flows {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            all: HashMap::new(),
            next: 0,
            listener: None,
            events: Vec::with_capacity(EVENTS),
            chunk: vec![0; CHUNK],
        })
    }

    /// Accepts from `listener`, which does not block.
    pub fn listen(&mut self, listener: TcpListener) -> io::Result<()> {
        let data = EventData::new_u64(LISTENER);
        epoll::add(&self.epoll, &listener, data, EventFlags::IN)?;
        self.listener = Some(listener);
        Ok(())
    }

    /// Whether connections that wait at the listener are told.
    pub fn set_accepting(&mut self, accepting: bool) -> io::Result<()> {
        let Some(listener) = &self.listener else {
            return Ok(());
        };
        let flags = match accepting {
            true => EventFlags::IN,
            false => EventFlags::empty(),
        };
        epoll::modify(&self.epoll, listener, EventData::new_u64(LISTENER), flags)?;
        Ok(())
    }

    /// The next connection that waits at the listener: its number, the peer's address and ours. `None` if none waits.
    pub fn accept(&mut self) -> io::Result<Option<(u64, SocketAddr, SocketAddr)>> {
        let Some(listener) = &self.listener else {
            return Ok(None);
        };
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(e) => return Err(e),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let at = stream.local_addr()?;
        Ok(Some((self.add(stream, false)?, peer, at)))
    }

    /// Takes a connection on that is under way. Returns its number.
    pub fn add(&mut self, stream: TcpStream, connecting: bool) -> io::Result<u64> {
        let number = self.next;
        let flow = Flow {
            stream,
            connecting,
            stalled: false,
            rest: Vec::new(),
        };
        let data = EventData::new_u64(number);
        epoll::add(&self.epoll, &flow.stream, data, flow.interest())?;
        self.next += 1;
        self.all.insert(number, flow);
        Ok(number)
    }

    /// Sends `bytes`, now or once the kernel takes them. A connection that has ended tells so by an event.
    pub fn send(&mut self, number: u64, bytes: &[u8]) {
        let Some(flow) = self.all.get_mut(&number) else {
            return;
        };
        let waits = !flow.rest.is_empty();
        flow.rest.extend_from_slice(bytes);
        if !waits {
            push(flow);
            self.renew(number);
        }
    }

    /// Sends up to `most` bytes that mean nothing, as far as the kernel takes them. Returns how many it took.
    pub fn flood(&mut self, number: u64, most: usize) -> usize {
        let Some(flow) = self.all.get_mut(&number) else {
            return 0;
        };
        let mut sent = 0;
        while sent < most {
            let bytes = &[b'x'; CHUNK][..CHUNK.min(most - sent)];
            match flow.stream.write(bytes) {
                Ok(n) if n > 0 => sent += n,
                _ => break,
            }
        }
        sent
    }

    /// Whether a connection is read.
    pub fn set_stalled(&mut self, number: u64, stalled: bool) {
        if let Some(flow) = self.all.get_mut(&number) {
            flow.stalled = stalled;
            self.renew(number);
        }
    }

    /// Closes a connection, with a FIN if all that arrived was read.
    pub fn close(&mut self, number: u64) {
        if let Some(flow) = self.all.remove(&number) {
            let _ = epoll::delete(&self.epoll, &flow.stream);
        }
    }

    /// The kernel's view of an open connection.
    pub fn info(&self, number: u64) -> Option<TcpInfo> {
        let flow = self.all.get(&number)?;
        throng_engine::look(flow.stream.as_fd()).ok()
    }

    /// Its own address.
    pub fn local(&self, number: u64) -> Option<SocketAddr> {
        self.all.get(&number)?.stream.local_addr().ok()
    }

    /// Waits until something happens, or for `patience`.
    pub fn wait(&mut self, patience: Duration) -> io::Result<Vec<Happened>> {
        let mut happened = Vec::new();
        self.events.clear();
        let timeout = Timespec {
            tv_sec: patience.as_secs().min(3600).cast_signed(),
            tv_nsec: patience.subsec_nanos().into(),
        };
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            Some(&timeout),
        ) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(happened),
            Err(e) => return Err(e.into()),
        }
        let at = Instant::now();
        let events: Vec<u64> = self.events.iter().map(|event| event.data.u64()).collect();
        for flow in events {
            if flow == LISTENER {
                let what = What::Waiting;
                happened.push(Happened { flow, at, what });
                continue;
            }
            for what in self.on(flow) {
                happened.push(Happened { flow, at, what });
            }
        }
        Ok(happened)
    }

    /// What has become of a connection about which the kernel told something.
    fn on(&mut self, number: u64) -> Vec<What> {
        let mut happened = Vec::new();
        let Some(flow) = self.all.get_mut(&number) else {
            return happened;
        };
        if flow.connecting {
            let failed = match flow.stream.take_error() {
                Ok(None) => flow.stream.peer_addr().err(),
                Ok(Some(e)) | Err(e) => Some(e),
            };
            match failed {
                // Woken for nothing: it is not known yet.
                Some(e) if e.kind() == io::ErrorKind::NotConnected => return happened,
                Some(e) => {
                    self.close(number);
                    return vec![What::Failed(e)];
                }
                None => {
                    flow.connecting = false;
                    let _ = flow.stream.set_nodelay(true);
                    happened.push(What::Up);
                }
            }
        }
        push(flow);
        let mut arrived = Vec::new();
        let end = match flow.stalled {
            true => flow.stream.take_error().ok().flatten().map(end_of),
            false => loop {
                match flow.stream.read(&mut self.chunk) {
                    Ok(0) => break Some(End::Closed),
                    Ok(n) => arrived.extend_from_slice(&self.chunk[..n]),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break None,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => break Some(end_of(e)),
                }
            },
        };
        if !arrived.is_empty() {
            happened.push(What::Received(arrived));
        }
        match end {
            Some(end) => {
                self.close(number);
                happened.push(What::Ended(end));
            }
            None => self.renew(number),
        }
        happened
    }

    /// Tells the kernel what is waited for.
    fn renew(&mut self, number: u64) {
        if let Some(flow) = self.all.get(&number) {
            let data = EventData::new_u64(number);
            let _ = epoll::modify(&self.epoll, &flow.stream, data, flow.interest());
        }
    }
}

/// Sends as much as the kernel takes. Why it takes no more is told by what is read.
fn push(flow: &mut Flow) {
    while !flow.connecting && !flow.rest.is_empty() {
        match flow.stream.write(&flow.rest) {
            Ok(n) if n > 0 => drop(flow.rest.drain(..n)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            _ => flow.rest.clear(),
        }
    }
}

/// How a connection ended, by the error of reading from it.
fn end_of(error: io::Error) -> End {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => End::Reset,
        io::ErrorKind::TimedOut => End::TimedOut,
        _ => End::Failed,
    }
}
