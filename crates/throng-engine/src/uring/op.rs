//! The operations that the event loop submits, and the tag that identifies their completions.

use super::abi::*;
use super::buffers::Group;
use crate::socket::{Address, SocketOption};
use std::os::fd::RawFd;

/// The operations that the event loop needs.
pub(super) const REQUIRED: &[Opcode] = &[
    Opcode::IORING_OP_POLL_ADD,
    Opcode::IORING_OP_ACCEPT,
    Opcode::IORING_OP_ASYNC_CANCEL,
    Opcode::IORING_OP_CONNECT,
    Opcode::IORING_OP_CLOSE,
    Opcode::IORING_OP_SEND,
    Opcode::IORING_OP_SENDMSG,
    Opcode::IORING_OP_RECV,
    Opcode::IORING_OP_SHUTDOWN,
    Opcode::IORING_OP_SOCKET,
    Opcode::IORING_OP_URING_CMD,
];
/// The operation that it needs to bind a source address (Linux 6.11).
pub(super) const REQUIRED_TO_BIND: &[Opcode] = &[Opcode::IORING_OP_BIND];

/// The operation that completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Op {
    /// The worker's eventfd was signalled.
    Wake,
    /// A step before connect (socket, option, bind) failed. Success is silent.
    Prepare,
    Connect,
    /// A connection waits in a listener's accept queue.
    Queue,
    Accept,
    Recv,
    /// A waiting send from the behaviour's memory.
    Send,
    /// A silent send that failed or ended short.
    Silent,
    /// A waiting send of a spill.
    Spill,
    /// A waiting send of bytes that the behaviour wrote.
    Bytes,
    /// The peer of a connection that is not read from closed or reset it.
    Hangup,
    /// A send of no bytes failed. Success is silent.
    Probe,
    /// A receive whose bytes are looked at, where those of others are discarded.
    Look,
    /// A receive whose bytes are discarded, where those of others are received.
    Skip,
    /// A send of the header that a connection begins with, from its spill.
    Header,
    /// The handshake of a connection has ended whose first bytes went with the SYN.
    Handshake,
    /// A connection of a pair has finished sending.
    Finish,
    /// A connection has a descriptor besides its slot, for system calls that have no operation of their own.
    Install,
    /// A connection of a flood has something, or has room.
    Flood,
    /// A cancel, shutdown or close failed. Success is silent.
    Quiet,
}

/// The operation, and the slot and its generation that it was for: 8 bits of operation, 16 of generation, 16 of
/// extra (a listener, a length, a position), 24 of slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub op: Op,
    pub generation: u16,
    pub extra: u16,
    pub slot: u32,
}

impl Tag {
    pub fn new(op: Op, slot: u32, generation: u16, extra: u16) -> Tag {
        Tag {
            op,
            generation,
            extra,
            slot,
        }
    }

    /// The group of the buffers that a receive with this tag receives into.
    pub fn group(self) -> Group {
        match self.op {
            Op::Look => Group::Looks,
            _ => Group::Receives,
        }
    }

    pub fn encode(self) -> u64 {
        u64::from(self.op as u8) << 56
            | u64::from(self.generation) << 40
            | u64::from(self.extra) << 24
            | u64::from(self.slot)
    }

    pub fn decode(user_data: u64) -> Tag {
        let op = match user_data >> 56 {
            0 => Op::Wake,
            1 => Op::Prepare,
            2 => Op::Connect,
            3 => Op::Queue,
            4 => Op::Accept,
            5 => Op::Recv,
            6 => Op::Send,
            7 => Op::Silent,
            8 => Op::Spill,
            9 => Op::Bytes,
            10 => Op::Hangup,
            11 => Op::Probe,
            12 => Op::Look,
            13 => Op::Skip,
            14 => Op::Header,
            15 => Op::Handshake,
            16 => Op::Finish,
            17 => Op::Install,
            18 => Op::Flood,
            _ => Op::Quiet,
        };
        Tag {
            op,
            generation: (user_data >> 40) as u16,
            extra: (user_data >> 24) as u16,
            slot: user_data as u32 & 0xff_ffff,
        }
    }
}

pub(super) fn wake(eventfd: RawFd) -> Sqe {
    Sqe {
        opcode: Opcode::IORING_OP_POLL_ADD as u8,
        fd: eventfd,
        len: IORING_POLL_ADD_MULTI,
        op_flags: libc::POLLIN as u32,
        user_data: Tag::new(Op::Wake, 0, 0, 0).encode(),
        ..Sqe::default()
    }
}

/// Opens a socket of `protocol` in `tag`'s slot. Entries are issued in order, and this one, an option and a bind never wait,
/// so later entries find them done. (Links would express that, but cost each entry a detour through task work:
/// 0.7 of 26 µs for a connection.) A Unix socket does not block: a thread of the kernel would wait for room in the queue of
/// the server, and could not be stopped.
pub(super) fn socket(family: i32, protocol: i32, tag: Tag) -> Sqe {
    let flags = match family {
        libc::AF_UNIX => libc::SOCK_NONBLOCK,
        _ => 0,
    };
    Sqe {
        opcode: Opcode::IORING_OP_SOCKET as u8,
        flags: IOSQE_CQE_SKIP_SUCCESS,
        fd: family,
        off: (libc::SOCK_STREAM | flags) as u64,
        len: protocol as u32,
        file_index: tag.slot + 1,
        user_data: tag.encode(),
        ..Sqe::default()
    }
}

/// Sets an option of the socket in `tag`'s slot. The option must live until this is submitted.
pub(super) fn set_option(option: &SocketOption, tag: Tag) -> Sqe {
    Sqe {
        opcode: Opcode::IORING_OP_URING_CMD as u8,
        flags: IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS,
        fd: tag.slot as i32,
        off: SocketCommand::SOCKET_URING_OP_SETSOCKOPT as u64,
        // The halves of the union: level, then name.
        addr: u64::from(option.level as u32) | u64::from(option.name as u32) << 32,
        file_index: option.value().len() as u32,
        addr3: option.value().as_ptr() as u64,
        user_data: tag.encode(),
        ..Sqe::default()
    }
}

/// Binds the socket in `tag`'s slot to `source`.
pub(super) fn bind(source: &Address, tag: Tag) -> Sqe {
    Sqe {
        opcode: Opcode::IORING_OP_BIND as u8,
        flags: IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS,
        fd: tag.slot as i32,
        addr: source.as_ptr() as u64,
        off: u64::from(source.len()),
        user_data: tag.encode(),
        ..Sqe::default()
    }
}

pub(super) fn connect(target: &Address, tag: Tag) -> Sqe {
    Sqe {
        opcode: Opcode::IORING_OP_CONNECT as u8,
        flags: IOSQE_FIXED_FILE,
        fd: tag.slot as i32,
        addr: target.as_ptr() as u64,
        off: u64::from(target.len()),
        user_data: tag.encode(),
        ..Sqe::default()
    }
}

/// Completes when the handshake of the connection in `tag`'s slot has ended, well or not.
pub(super) fn handshake(tag: Tag) -> Sqe {
    poll(libc::POLLOUT, tag)
}

/// Completes once a connection waits in the listener's accept queue.
pub(super) fn queue(listener: RawFd, tag: Tag) -> Sqe {
    Sqe {
        opcode: Opcode::IORING_OP_POLL_ADD as u8,
        fd: listener,
        op_flags: libc::POLLIN as u32,
        user_data: tag.encode(),
        ..Sqe::default()
    }
}

/// Accepts one connection into `tag`'s slot. If there is none it fails with EAGAIN, or waits without `dont_wait`
/// (Linux 6.10). It is not multishot: a multishot accept continues until the file table is full, and loses the
/// connection that it then holds.
pub(super) fn accept(listener: RawFd, dont_wait: bool, tag: Tag) -> Sqe {
    Sqe {
        opcode: Opcode::IORING_OP_ACCEPT as u8,
        ioprio: if dont_wait {
            IORING_ACCEPT_DONTWAIT as u16
        } else {
            0
        },
        fd: listener,
        file_index: tag.slot + 1,
        user_data: tag.encode(),
        ..Sqe::default()
    }
}

/// Receives into buffers of the pool until it is cancelled. Polls first: a connection that was just established has
/// nothing to read yet, and a receive that fails costs more than a poll.
pub(super) fn receive(tag: Tag) -> Sqe {
    Sqe {
        opcode: Opcode::IORING_OP_RECV as u8,
        flags: IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT,
        ioprio: (IORING_RECV_MULTISHOT | IORING_RECVSEND_POLL_FIRST) as u16,
        fd: tag.slot as i32,
        user_data: tag.encode(),
        ..Sqe::default()
    }
}

/// Like [`receive`], but the kernel discards the bytes instead of copying them to the buffers (MSG_TRUNC on a TCP
/// socket, tcp(7)).
pub(super) fn discard(tag: Tag) -> Sqe {
    Sqe {
        op_flags: libc::MSG_TRUNC as u32,
        ..receive(tag)
    }
}

/// Receives once into a buffer of the [pool of looks](super::buffers::Group::Looks).
pub(super) fn look(tag: Tag) -> Sqe {
    Sqe {
        ioprio: IORING_RECVSEND_POLL_FIRST as u16,
        buf_index: Group::Looks as u16,
        ..receive(tag)
    }
}

/// Receives once, up to `len` bytes, which the kernel discards.
pub(super) fn skip(len: u32, tag: Tag) -> Sqe {
    Sqe {
        flags: IOSQE_FIXED_FILE,
        ioprio: 0,
        len,
        ..discard(tag)
    }
}

/// Receives once, up to `len` bytes, into a buffer of the pool.
pub(super) fn receive_some(len: u32, tag: Tag) -> Sqe {
    Sqe {
        ioprio: 0,
        len,
        ..receive(tag)
    }
}

/// Completes when the peer has closed or reset the connection in `tag`'s slot.
pub(super) fn hangup(tag: Tag) -> Sqe {
    poll(libc::POLLRDHUP, tag)
}

/// Completes once the connection in `tag`'s slot has one of these `events` (poll(2)), or has failed.
pub(super) fn poll(events: i16, tag: Tag) -> Sqe {
    Sqe {
        opcode: Opcode::IORING_OP_POLL_ADD as u8,
        flags: IOSQE_FIXED_FILE,
        fd: tag.slot as i32,
        op_flags: events as u32,
        user_data: tag.encode(),
        ..Sqe::default()
    }
}

/// Sends all `len` bytes at `address`, and completes when they are sent. The memory must live until then. With `more`,
/// a packet that is not full waits for the next send.
pub(super) fn send(address: u64, len: u32, more: bool, tag: Tag) -> Sqe {
    let more = if more { libc::MSG_MORE } else { 0 };
    Sqe {
        opcode: Opcode::IORING_OP_SEND as u8,
        flags: IOSQE_FIXED_FILE,
        fd: tag.slot as i32,
        addr: address,
        len,
        op_flags: (libc::MSG_NOSIGNAL | libc::MSG_WAITALL | more) as u32,
        user_data: tag.encode(),
        ..Sqe::default()
    }
}

/// Sends as many of the `len` bytes at `address` as the kernel takes at once. Ends while it is submitted, and has a
/// completion only if it failed or ended short (which needs MSG_WAITALL).
pub(super) fn send_silently(address: u64, len: u32, more: bool, tag: Tag) -> Sqe {
    let send = send(address, len, more, tag);
    Sqe {
        flags: send.flags | IOSQE_CQE_SKIP_SUCCESS,
        op_flags: send.op_flags | libc::MSG_DONTWAIT as u32,
        ..send
    }
}

/// As [`send_silently`], of all bytes of the message at `address` (a msghdr).
pub(super) fn send_message_silently(address: u64, tag: Tag) -> Sqe {
    Sqe {
        opcode: Opcode::IORING_OP_SENDMSG as u8,
        ..send_silently(address, 1, false, tag)
    }
}

/// Sends no bytes. Ends while it is submitted, and has a completion only if the peer has reset the connection.
pub(super) fn probe(tag: Tag) -> Sqe {
    send_silently(0, 0, false, tag)
}

/// Cancels the operation that was submitted with `tag`.
pub(super) fn cancel(tag: Tag) -> Sqe {
    Sqe {
        opcode: Opcode::IORING_OP_ASYNC_CANCEL as u8,
        flags: IOSQE_CQE_SKIP_SUCCESS,
        addr: tag.encode(),
        user_data: Tag::new(Op::Quiet, tag.slot, tag.generation, 0).encode(),
        ..Sqe::default()
    }
}

/// The extra of a cancel that ends a receive. Its failure matters: a cancel misses a receive that is being retried
/// at that moment.
pub(super) const OF_RECEIVE: u16 = 1;

/// Cancels the receive that was submitted with `tag`.
pub(super) fn cancel_receive(tag: Tag) -> Sqe {
    Sqe {
        user_data: Tag::new(Op::Quiet, tag.slot, tag.generation, OF_RECEIVE).encode(),
        ..cancel(tag)
    }
}

/// Cancels all operations in `slot`, whatever their tags. Searches all operations of the ring.
pub(super) fn cancel_all(slot: u32, generation: u16) -> Sqe {
    const ALL_OF_A_SLOT: u32 =
        IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_FD_FIXED;
    Sqe {
        opcode: Opcode::IORING_OP_ASYNC_CANCEL as u8,
        flags: IOSQE_CQE_SKIP_SUCCESS,
        fd: slot as i32,
        op_flags: ALL_OF_A_SLOT,
        user_data: Tag::new(Op::Quiet, slot, generation, OF_RECEIVE).encode(),
        ..Sqe::default()
    }
}

/// Shuts down the connection in `slot` (SHUT_RD, SHUT_RDWR), which also ends its receive. A kernel thread does this
/// later, with whatever is in the slot by then: use it only for slots that do not change.
pub(super) fn shutdown(slot: u32, how: i32, generation: u16) -> Sqe {
    Sqe {
        opcode: Opcode::IORING_OP_SHUTDOWN as u8,
        flags: IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS,
        fd: slot as i32,
        len: how as u32,
        user_data: Tag::new(Op::Quiet, slot, generation, 0).encode(),
        ..Sqe::default()
    }
}

/// Sends a FIN on the connection in `tag`'s slot, and completes when it is done: a kernel thread does it. Until then the slot
/// must not change hands.
pub(super) fn finish(tag: Tag) -> Sqe {
    Sqe {
        flags: IOSQE_FIXED_FILE,
        user_data: tag.encode(),
        ..shutdown(tag.slot, libc::SHUT_WR, tag.generation)
    }
}

/// Gives the socket in `tag`'s slot a descriptor besides (Linux 6.8), which is the completion's result.
pub(super) fn install(tag: Tag) -> Sqe {
    Sqe {
        opcode: Opcode::IORING_OP_FIXED_FD_INSTALL as u8,
        flags: IOSQE_FIXED_FILE,
        fd: tag.slot as i32,
        user_data: tag.encode(),
        ..Sqe::default()
    }
}

/// Like [`shutdown`] of both sides, and the close that is pushed next follows it. The slot is free when the kernel
/// thread has closed the socket.
pub(super) fn shutdown_first(slot: u32, generation: u16) -> Sqe {
    let shutdown = shutdown(slot, libc::SHUT_RDWR, generation);
    Sqe {
        flags: shutdown.flags | IOSQE_IO_HARDLINK,
        ..shutdown
    }
}

/// An address of no family, which ends a connection (connect(2)).
static NOWHERE: libc::sockaddr = libc::sockaddr {
    sa_family: libc::AF_UNSPEC as libc::sa_family_t,
    sa_data: [0; 14],
};

/// Resets the connection in `slot`, which ends all that is done with it, and the close that is pushed next follows it.
pub(super) fn reset_first(slot: u32, generation: u16) -> Sqe {
    Sqe {
        opcode: Opcode::IORING_OP_CONNECT as u8,
        flags: IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_HARDLINK,
        fd: slot as i32,
        addr: &raw const NOWHERE as u64,
        off: size_of_val(&NOWHERE) as u64,
        user_data: Tag::new(Op::Quiet, slot, generation, 0).encode(),
        ..Sqe::default()
    }
}

/// Closes the file in `slot`, which is free at once.
pub(super) fn close(slot: u32, generation: u16) -> Sqe {
    Sqe {
        opcode: Opcode::IORING_OP_CLOSE as u8,
        flags: IOSQE_CQE_SKIP_SUCCESS,
        file_index: slot + 1,
        user_data: Tag::new(Op::Quiet, slot, generation, 0).encode(),
        ..Sqe::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_survives_encoding() {
        for op in [
            Op::Wake,
            Op::Prepare,
            Op::Connect,
            Op::Header,
            Op::Handshake,
            Op::Queue,
            Op::Accept,
            Op::Recv,
            Op::Look,
            Op::Skip,
            Op::Send,
            Op::Silent,
            Op::Spill,
            Op::Bytes,
            Op::Hangup,
            Op::Probe,
            Op::Finish,
            Op::Install,
            Op::Flood,
            Op::Quiet,
        ] {
            let tag = Tag::new(op, 0xff_fffe, 0xfffe, 0x8001);
            assert_eq!(Tag::decode(tag.encode()), tag);
        }
    }
}
