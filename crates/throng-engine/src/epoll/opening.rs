//! Opening and accepting connections.

use super::poll;
use super::worker::{LISTENER, Worker};
use crate::socket::{self, ANY_PORT, Address, PORT_LATER, SocketOption, fail_cause};
use crate::table::State;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::slice;
use std::time::Duration;
use throng_core::behaviour::Behaviour;
use throng_core::stats::{Closed, FailCause};
use throng_core::time::Time;

/// The maximum number of connections opened, or accepted from one listener, in one round.
const OPENS_A_ROUND: u32 = 16;
const ACCEPTS_A_ROUND: u32 = 64;
/// The pause before a worker that does not accept checks again.
pub(super) const ACCEPT_REST: Duration = Duration::from_millis(1);

/// Has a socket choose its local port from some of them.
pub(super) fn choose(fd: RawFd, ports: &SocketOption) -> Result<(), i32> {
    let set = socket::set_options(slice::from_ref(ports), fd);
    set.map_err(|e| e.raw_os_error().unwrap_or(libc::EIO))
}

impl<B: Behaviour> Worker<B> {
    pub(super) fn open(&mut self, now: Time) {
        for _ in 0..self.table.may_open(now).min(OPENS_A_ROUND) {
            let Some(index) = self.table.open_next(now) else {
                break;
            };
            if let Err(errno) = self.connect(index, now) {
                self.fail(index, fail_cause(errno), now);
            }
        }
        while let Some(index) = self.table.next_for_room(now) {
            if let Err(errno) = self.call(index, now) {
                self.fail(index, fail_cause(errno), now);
            }
        }
    }

    fn connect(&mut self, index: u32, now: Time) -> Result<(), i32> {
        let part = self.table.next_part_of_ports();
        let (target, source) = self.table.route(index);
        let file = self.socket(target, source)?;
        let fd = file.as_raw_fd();
        if let Some(part) = part {
            choose(fd, self.table.port_option(part))?;
        }
        self.keep(index, file);
        match self.call(index, now) {
            // That part of the local ports has none that is free.
            Err(libc::EADDRNOTAVAIL) if part.is_some() => {
                choose(fd, &ANY_PORT)?;
                self.call(index, now)
            }
            called => called,
        }
    }

    /// A socket to connect to `target`.
    pub(super) fn socket(
        &self,
        target: &Address,
        source: Option<&Address>,
    ) -> Result<OwnedFd, i32> {
        let errno = |e: io::Error| e.raw_os_error().unwrap_or(libc::EIO);
        let file = socket::stream(target.family(), self.table.making.protocol(target.family()))
            .map_err(errno)?;
        let fd = file.as_raw_fd();
        socket::set_options(self.table.making.options(target.family()), fd).map_err(errno)?;
        if let Some(source) = source {
            socket::set_options(&[PORT_LATER], fd).map_err(errno)?;
            socket::bind(fd, source).map_err(errno)?;
        }
        Ok(file)
    }

    /// Calls connect() on a connection's socket.
    fn call(&mut self, index: u32, now: Time) -> Result<(), i32> {
        let fd = self.fd(index);
        let (target, _) = self.table.route(index);
        match poll::connect(fd, target) {
            Err(libc::EAGAIN) if target.is_unix() => {
                self.table.found_no_room(index, now);
                return Ok(());
            }
            begins => {
                if begins? && self.table.opens_early() {
                    // Before the registration, which would report that the socket takes what goes with the SYN.
                    self.open_early(index, now)?;
                }
            }
        }
        let added = self.poll.add_edges(fd, self.key(index));
        added.map_err(|e| e.raw_os_error().unwrap_or(libc::EIO))
    }

    /// How connect() ended: an errno, or 0. A connection that begins with a header has sent it.
    pub(super) fn connect_ended(&mut self, index: u32) -> i32 {
        match poll::pending_error(self.fd(index)) {
            0 => self.send_header(index).err().unwrap_or(0),
            errno => errno,
        }
    }

    /// Sends the header that a connection begins with, if there is one. The send buffer is empty, and has room for it.
    fn send_header(&mut self, index: u32) -> Result<(), i32> {
        let mut header = std::mem::take(&mut self.scratch);
        if self.table.write_header(index, &mut header) {
            let taken = poll::send(self.fd(index), &header, false)?;
            if taken < header.len() {
                return Err(libc::ENOBUFS);
            }
            self.took(taken);
        }
        self.keep_bytes(header);
        Ok(())
    }

    pub(super) fn fail(&mut self, index: u32, cause: FailCause, now: Time) {
        if B::PAIRS {
            self.partner_failed(index, cause, now);
            return;
        }
        if self.table.conns[index as usize].state == State::Early {
            self.blocked.remove(&index);
        }
        if let Some(file) = self.files.get_mut(index as usize) {
            *file = None;
        }
        self.table.failed(index, cause, now);
    }

    /// Registers the listeners while this worker accepts. Every worker sees every listener, so a worker that does
    /// not accept a connection leaves it to the others.
    pub(super) fn watch_listeners(&mut self, now: Time) -> io::Result<()> {
        let room = self.table.has_place();
        let wanted = room
            && !self.table.stopped_opening()
            && now >= self.accept_again
            && !self.table.is_ahead();
        if wanted != self.accepting {
            self.accepting = wanted;
            for (i, listener) in self.table.listeners.iter().enumerate() {
                if wanted {
                    self.poll
                        .add_readable(listener.as_raw_fd(), LISTENER | i as u64)?;
                } else {
                    self.poll.remove(listener.as_raw_fd());
                }
            }
        }
        Ok(())
    }

    pub(super) fn accept(&mut self, listener: usize, now: Time) {
        for _ in 0..ACCEPTS_A_ROUND {
            let Some(index) = self.table.take_place() else {
                return;
            };
            match poll::accept(self.table.listeners[listener].as_raw_fd()) {
                Ok(file) if self.table.asks_who() => match socket::ends(file) {
                    Ok((file, ends)) => {
                        self.table.accepted_from(index, ends, now);
                        self.accepted(index, file, now);
                    }
                    // It has left already.
                    Err(_) => self.table.give_place(index),
                },
                Ok(file) => self.accepted(index, file, now),
                Err(errno) => {
                    self.table.give_place(index);
                    if !matches!(errno, libc::EAGAIN | libc::ECONNABORTED) {
                        self.accept_again = now + ACCEPT_REST;
                    }
                    return;
                }
            }
        }
    }

    fn accepted(&mut self, index: u32, file: OwnedFd, now: Time) {
        let added = self.poll.add_edges(file.as_raw_fd(), self.key(index));
        self.keep(index, file);
        let mut out = self.outbox();
        self.table.accepted(index, now, &mut out);
        if added.is_err() {
            // No memory for the registration: the connection cannot be served.
            self.finish(index, Closed::Error, now);
            return;
        }
        self.apply(index, out, 0, now);
    }
}
