//! The wire format of `NETLINK_SOCK_DIAG` (sock_diag(7)), which lists the kernel's TCP sockets and Unix sockets.

use std::io;
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use linux_raw_sys::net::tcp_info;
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::IPPROTO_TCP;
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponse, InetResponseHeader, SocketId, StateFlags,
};
use netlink_packet_sock_diag::unix::{self, ShowFlags, UnixRequest, UnixResponse};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

/// The largest piece of a netlink dump's answer.
const ANSWER_BYTES: usize = 32 << 10;

/// "Any socket" in place of a socket's cookie (INET_DIAG_NOCOOKIE).
pub(crate) const NO_COOKIE: [u8; 8] = [0xff; 8];

/// The lookup of the socket that serves `addr`: its address is the source here.
pub(crate) fn socket_id(addr: SocketAddr) -> SocketId {
    SocketId {
        source_port: addr.port(),
        destination_port: 0,
        source_address: addr.ip(),
        destination_address: match addr {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        },
        // A listener on a link-local address is bound to that link.
        interface_id: if let SocketAddr::V6(v6) = addr {
            v6.scope_id()
        } else {
            0
        },
        cookie: NO_COOKIE,
    }
}

/// What a peer has room for, and what it has got.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// The window that it announced, bytes.
    pub window: u32,
    /// The largest segment that is sent to it, bytes.
    pub segment: u32,
    /// Probes of its window that were not answered.
    pub probes: u8,
    /// Bytes that it has acknowledged in all, the SYN among them (Linux 4.1); 0 if the kernel does not say.
    pub acknowledged: u64,
}

impl Room {
    /// From a `tcp_info` of the kernel, which may be of another version.
    fn of(info: &[u8]) -> Option<Room> {
        let number = |at: usize| Some(u32::from_ne_bytes(*info.get(at..)?.first_chunk()?));
        Some(Room {
            window: number(offset_of!(tcp_info, tcpi_snd_wnd))?,
            segment: number(offset_of!(tcp_info, tcpi_snd_mss))?,
            probes: *info.get(offset_of!(tcp_info, tcpi_probes))?,
            acknowledged: info
                .get(offset_of!(tcp_info, tcpi_bytes_acked)..)
                .and_then(|rest| Some(u64::from_ne_bytes(*rest.first_chunk()?)))
                .unwrap_or_default(),
        })
    }
}

/// An open netlink socket, for one request at a time.
#[derive(Debug)]
pub(crate) struct SockDiag {
    socket: Socket,
    sequence: u32,
    answer: Vec<u8>,
}

impl SockDiag {
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        // The kernel answers within send() or recv() itself: without an answer there will be none.
        socket.set_non_blocking(true)?;
        Ok(Self {
            socket,
            sequence: 0,
            answer: Vec::with_capacity(ANSWER_BYTES),
        })
    }

    /// A request: a dump of the sockets in the states `dump`, or else the lookup of one socket.
    pub(crate) fn ask(
        &mut self,
        family: u8,
        socket_id: SocketId,
        dump: Option<StateFlags>,
    ) -> io::Result<Vec<InetResponseHeader>> {
        let mut found = Vec::new();
        let none = ExtensionFlags::empty();
        self.request(family, socket_id, dump, none, |socket| {
            found.push(socket.header);
        })?;
        Ok(found)
    }

    /// All listeners on the port of `socket_id`, each with the packets that it has dropped since it listens.
    pub(crate) fn listeners_with_drops(
        &mut self,
        family: u8,
        socket_id: SocketId,
    ) -> io::Result<Vec<(InetResponseHeader, u32)>> {
        let mut found = Vec::new();
        let (states, memory) = (Some(StateFlags::LISTEN), ExtensionFlags::SKMEMINFO);
        self.request(family, socket_id, states, memory, |socket| {
            let drops = socket.nlas.iter().find_map(|nla| match nla {
                Nla::MemInfo(memory) => Some(memory.drops),
                _ => None,
            });
            found.push((socket.header, drops.unwrap_or(0)));
        })?;
        Ok(found)
    }

    /// Calls `visit` for each socket in one of `states` with the ports of `socket_id` (0 is any), as the kernel reports
    /// it: memory does not grow with the number of sockets.
    pub(crate) fn each(
        &mut self,
        family: u8,
        socket_id: SocketId,
        states: StateFlags,
        mut visit: impl FnMut(InetResponseHeader),
    ) -> io::Result<()> {
        let none = ExtensionFlags::empty();
        self.request(family, socket_id, Some(states), none, |socket| {
            visit(socket.header);
        })
    }

    /// As [`each`](SockDiag::each), for all ports and with what the peer has room for, if the kernel says it (Linux 5.4).
    pub(crate) fn each_with_room(
        &mut self,
        family: u8,
        states: StateFlags,
        mut visit: impl FnMut(&InetResponseHeader, Option<Room>),
    ) -> io::Result<()> {
        let any = socket_id(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        self.request(family, any, Some(states), ExtensionFlags::INFO, |socket| {
            let room = socket.nlas.iter().find_map(|nla| match nla {
                Nla::TcpInfo(info) => Room::of(info),
                _ => None,
            });
            visit(&socket.header, room);
        })
    }

    /// As [`each`](SockDiag::each), with what the socket's buffers take: what was received and not read, what was sent and not
    /// acknowledged, and options.
    pub(crate) fn each_with_buffers(
        &mut self,
        family: u8,
        socket_id: SocketId,
        states: StateFlags,
        mut visit: impl FnMut(&InetResponseHeader, u64),
    ) -> io::Result<()> {
        let memory = ExtensionFlags::SKMEMINFO;
        self.request(family, socket_id, Some(states), memory, |socket| {
            let buffers = socket.nlas.iter().find_map(|nla| match nla {
                Nla::MemInfo(m) => {
                    let parts = [
                        m.receive_queue,
                        m.send_queue,
                        m.options,
                        m.backlog_queue_length,
                    ];
                    Some(parts.map(u64::from).iter().sum())
                }
                _ => None,
            });
            visit(&socket.header, buffers.unwrap_or(0));
        })
    }

    fn request(
        &mut self,
        family: u8,
        socket_id: SocketId,
        dump: Option<StateFlags>,
        extensions: ExtensionFlags,
        mut visit: impl FnMut(InetResponse),
    ) -> io::Result<()> {
        let all = dump.is_some();
        let request = SockDiagMessage::InetRequest(InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions,
            states: dump.unwrap_or(StateFlags::LISTEN),
            socket_id,
        });
        self.exchange(request, all, |answer| {
            if let SockDiagMessage::InetResponse(socket) = answer {
                visit(*socket);
            }
        })
    }

    /// Calls `visit` for each Unix socket in one of `states`, with what `show` names.
    ///
    /// # Errors
    /// The kernel does not list them (CONFIG_UNIX_DIAG).
    pub(crate) fn each_unix(
        &mut self,
        states: unix::StateFlags,
        show: ShowFlags,
        mut visit: impl FnMut(&UnixResponse),
    ) -> io::Result<()> {
        let request = SockDiagMessage::UnixRequest(UnixRequest {
            state_flags: states,
            inode: 0,
            show_flags: show,
            cookie: NO_COOKIE,
        });
        self.exchange(request, true, |answer| {
            if let SockDiagMessage::UnixResponse(socket) = answer {
                visit(&socket);
            }
        })
    }

    /// Sends `request`, and passes on its answers: those of all sockets that it matches, or that of one.
    fn exchange(
        &mut self,
        request: SockDiagMessage,
        all: bool,
        mut visit: impl FnMut(SockDiagMessage),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.sequence_number = self.sequence;
        header.flags = NLM_F_REQUEST | if all { NLM_F_DUMP } else { 0 };
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut bytes = [0; 128];
        let bytes = &mut bytes[..message.buffer_len()];
        message.serialize(bytes);
        self.socket.send(bytes, 0)?;

        loop {
            self.answer.clear();
            let received = self.socket.recv(&mut self.answer, 0)?;
            let mut rest = &self.answer[..received];
            while !rest.is_empty() {
                let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                    .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
                let length = (message.header.length as usize).next_multiple_of(4);
                rest = rest.get(length..).unwrap_or_default();
                if message.header.sequence_number != self.sequence {
                    continue; // Left over from a request that failed half way.
                }
                match message.payload {
                    NetlinkPayload::InnerMessage(answer) => {
                        visit(answer);
                        if !all {
                            return Ok(());
                        }
                    }
                    NetlinkPayload::Done(done) if done.code == 0 => return Ok(()),
                    NetlinkPayload::Done(done) => {
                        return Err(io::Error::from_raw_os_error(done.code.saturating_neg()));
                    }
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    _ => {}
                }
            }
        }
    }
}
