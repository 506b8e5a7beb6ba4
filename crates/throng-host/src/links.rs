//! Network interfaces of this process's network namespace, made and set up over rtnetlink(7). None of it outlives the namespace.

use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::net::if_::if_nametoindex;
use std::io;
use std::net::Ipv4Addr;

/// The longest answer: an acknowledgement, with the request in it if it was refused.
const ANSWER_BYTES: usize = 8 << 10;
/// Attributes of the queueing discipline `tbf`, and the link layer of Ethernet (linux/pkt_sched.h). With that the kernel works
/// out by itself how long a packet takes.
const TBF_PARMS: u16 = 1;
const TBF_RATE64: u16 = 4;
const TBF_BURST: u16 = 6;
const LINK_LAYER_ETHERNET: u8 = 1;

/// The interface of a host that is in a namespace of its own.
pub const INSIDE: &str = "eth0";

/// Whether this thread's namespace has an interface of this name.
pub fn exists(name: &str) -> bool {
    if_nametoindex(name).is_ok()
}

/// An open rtnetlink socket, for one request at a time.
#[derive(Debug)]
pub struct Links {
    socket: Socket,
}

impl Links {
    /// Of the namespace that the calling thread is in.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open() -> io::Result<Links> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        Ok(Links { socket })
    }

    /// Makes a bridge with a hardware address of its own. Without one it takes the lowest of its ports' and changes it as ports come
    /// and go, so that neighbours lose it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn make_bridge(&mut self, name: &str, hardware: [u8; 6]) -> io::Result<()> {
        let mut link = named(name);
        link.attributes.extend([
            LinkAttribute::Address(hardware.to_vec()),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
        ]);
        self.make(RouteNetlinkMessage::NewLink(link))
    }

    /// Makes a pair of interfaces: `name` here, as a port of the interface `bridge`, and `far` in the network namespace of the process
    /// `pid`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn make_pair(&mut self, name: &str, bridge: &str, far: &str, pid: u32) -> io::Result<()> {
        let mut peer = named(far);
        peer.attributes.push(LinkAttribute::NetNsPid(pid));
        let mut link = named(name);
        link.attributes.extend([
            LinkAttribute::Controller(index_of(bridge)?),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
            ]),
        ]);
        self.make(RouteNetlinkMessage::NewLink(link))
    }

    /// Sets IFF_UP of an interface.
    ///
    /// # Errors
    /// The kernel's.
    pub fn bring_up(&mut self, name: &str) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index_of(name)?;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        self.ask(RouteNetlinkMessage::NewLink(link), 0)
    }

    /// Gives an interface an address, and so a route to the network of `prefix` bits that it is in.
    ///
    /// # Errors
    /// The kernel's.
    pub fn add_address(&mut self, name: &str, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = prefix;
        message.header.index = index_of(name)?;
        message.attributes.extend([
            AddressAttribute::Local(address.into()),
            AddressAttribute::Address(address.into()),
        ]);
        self.make(RouteNetlinkMessage::NewAddress(message))
    }

    /// Limits what an interface sends to `rate` bytes a second (tc-tbf(8)). At most 50 ms worth of it waits; what comes beyond
    /// that is dropped.
    ///
    /// # Errors
    /// The kernel's, which may have no `tbf`.
    pub fn limit_rate(&mut self, name: &str, rate: u64) -> io::Result<()> {
        // A burst has to have room for the largest piece that a socket hands down at once, and for what a tick of the
        // kernel's clock sends.
        let burst = u32::try_from(rate / 100).unwrap_or(u32::MAX).max(128 << 10);
        let queue = u32::try_from(rate / 20).unwrap_or(u32::MAX).max(burst);
        let mut message = TcMessage::default();
        message.header.index = index_of(name)?
            .try_into()
            .map_err(|_| io::ErrorKind::InvalidInput)?;
        message.header.parent = TcHandle::ROOT;
        // Rates that 32 bits have no room for are in an attribute of their own.
        let short = u32::try_from(rate).unwrap_or(u32::MAX);
        let option = |kind, value: Vec<u8>| TcOption::Other(DefaultNla::new(kind, value));
        message.attributes.extend([
            TcAttribute::Kind("tbf".into()),
            TcAttribute::Options(vec![
                option(TBF_PARMS, tbf(short, queue)),
                option(TBF_BURST, burst.to_ne_bytes().into()),
                option(TBF_RATE64, rate.to_ne_bytes().into()),
            ]),
        ]);
        self.make(RouteNetlinkMessage::NewQueueDiscipline(message))
    }

    fn make(&mut self, what: RouteNetlinkMessage) -> io::Result<()> {
        self.ask(what, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Sends a request, and waits for its acknowledgement.
    fn ask(&mut self, what: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(what));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut answer = Vec::with_capacity(ANSWER_BYTES);
        let received = self.socket.recv(&mut answer, 0)?;
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer[..received])
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
        match answer.payload {
            NetlinkPayload::Error(error) if error.code.is_none() => Ok(()),
            NetlinkPayload::Error(error) => Err(error.to_io()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// A new interface.
fn named(name: &str) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    link
}

fn index_of(name: &str) -> io::Result<u32> {
    Ok(if_nametoindex(name)?)
}

/// `struct tc_tbf_qopt`: a rate in bytes a second, no peak rate, and the bytes that may wait.
fn tbf(rate: u32, queue: u32) -> Vec<u8> {
    let mut parms = Vec::new();
    // struct tc_ratespec: cell_log, linklayer, overhead, cell_align, mpu, rate.
    parms.extend([0, LINK_LAYER_ETHERNET, 0, 0, 0, 0, 0, 0]);
    parms.extend(rate.to_ne_bytes());
    parms.extend([0; 12]);
    parms.extend(queue.to_ne_bytes());
    // The buffer and mtu of older kernels, which count in ticks: TBF_BURST says it in bytes.
    parms.extend([0; 8]);
    parms
}
