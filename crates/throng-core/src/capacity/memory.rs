//! Limits on memory: what a connection takes in the kernel and in throng, and how many connections the machine's
//! memory, a cgroup's limit and `tcp_mem` allow.

use super::case::Case;
use super::limit::{Lift, Limit, LimitKind};
use super::question::Role;
use crate::host::{Host, SocketObjects, UNIX_SOCKET};
use crate::human::{bytes, count, things, verb};
use serde::{Deserialize, Serialize};

/// User memory of a client's end of a connection: its entry in the table (40), its timer (12) and its part of a ring.
/// Measured from the 60,000th to the 240,000th connection, like the following constants: 54 to 55 bytes.
pub const CLIENT_BYTES_PER_END: u64 = 54;
/// User memory of a server's end, which has a smaller entry (8) and no timer: 15 bytes. Both ends in one process take
/// 66 together.
pub const SERVER_BYTES_PER_END: u64 = 15;
/// What TLS adds to an end: keys, secrets and counters (248), and what handshakes leave between them. Measured over
/// 60,000 connections to itself; see docs/tls.md.
pub const TLS_BYTES_PER_END: u64 = 272;
/// What resumption adds to a client's end until its server has sent a ticket or data: what rustls needs to understand a
/// ticket (1,514 bytes on the heap, and the heap's overhead). Measured from the 20,000th to the 60,000th connection to
/// a server that sends neither: 1,650 to 1,685 bytes.
pub const UNTIL_TICKET_BYTES_PER_END: u64 = 1680;
/// The kernel's object for a TCP socket on Linux 6.18.
const TCP_SOCKET: u64 = 2368;
/// What a worker takes for all its connections: stack and tables, without the engine's receive buffers.
const WORKER: u64 = 128 << 10;
/// What TLS adds to a worker: prepared keys, tickets, and handshakes under way.
const TLS_WORKER: u64 = 5 << 19;
/// What a message in a socket's queue takes besides its bytes: `sk_buff` and its head.
const SKB: u64 = 1280;
/// How long a message is assumed to be under way, in seconds: sent and acknowledged over a fast path, and read by a
/// server that is a little late.
const UNDER_WAY_S: f64 = 0.1;

/// Memory that is reserved for the machine: a sixteenth of it, at least 128 MiB, at most 1 GiB. With less than 1 GiB
/// in all, as in a small container, it is an eighth, and at least 8 MiB: connections can fill 4 MiB before memory is
/// checked again.
pub(crate) fn reserve(host: &Host) -> u64 {
    let bound = host.memory.bound();
    let least = (bound / 8).clamp(8 << 20, 128 << 20);
    (bound / 16).clamp(least, 1 << 30)
}

/// What a connection takes on this machine, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// In the kernel, for idle connections: all ends on this machine.
    pub kernel: u64,
    /// In throng.
    pub user: u64,
    /// The part of `user` that a client with TLS resumption keeps only until the server has sent a ticket or data. It
    /// is 0 with both ends here, because throng's own server issues tickets.
    #[serde(default)]
    pub until_ticket: u64,
    /// In socket buffers, once messages flow.
    pub buffers: u64,
    /// All of these together.
    pub each: u64,
    /// The part of `each` that a cgroup is charged: not all objects are, nor are accepted sockets.
    pub charged: u64,
    /// What throng takes independent of the number of connections.
    pub fixed: u64,
    /// The source of the kernel's part.
    pub source: String,
}

impl Bytes {
    pub(super) fn of(case: &Case) -> Bytes {
        let objects = case.host.memory.objects;
        let connects = u64::from(case.connects());
        let kernel = match objects {
            Some(o) => (0..case.ends_here)
                .map(|end| end_bytes(&o, case, end < connects))
                .sum(),
            None if case.question.unix => {
                let smaller = TCP_SOCKET - u64::from(UNIX_SOCKET);
                case.ends_here * (case.engine.kernel_bytes_per_end() - smaller)
            }
            None => case.ends_here * case.engine.kernel_bytes_per_end(),
        };
        let conntrack = case
            .host
            .conntrack
            .as_ref()
            .filter(|c| c.active == Some(true) && !case.question.unix)
            .and(objects.and_then(|o| o.conntrack))
            .map_or(0, u64::from);
        let kernel = kernel + conntrack;
        let resumes = case.question.tls && case.question.resume && !case.proxy;
        let until_ticket = match case.question.role {
            Role::Client if resumes => UNTIL_TICKET_BYTES_PER_END,
            _ => 0,
        };
        // How much memory a proxy itself takes is unknown.
        let user = match case.proxy {
            true => 0,
            false => {
                let role = case.question.role;
                let tls = u64::from(case.question.tls) * TLS_BYTES_PER_END * case.ends_own;
                u64::from(role.connects()) * CLIENT_BYTES_PER_END
                    + u64::from(role.accepts()) * SERVER_BYTES_PER_END
                    + tls
                    + until_ticket
            }
        };
        let buffers = buffers(case);
        // A TLS handshake is received, too.
        let received = match case.question.message_bytes.is_some() || case.question.tls {
            true => case.engine.receive_buffer_bytes(),
            false => 0,
        };
        let tls = u64::from(case.question.tls) * TLS_WORKER;
        Bytes {
            kernel,
            user,
            until_ticket,
            buffers,
            each: kernel + user + buffers,
            charged: charged(case) + user + buffers,
            fixed: match case.proxy {
                true => 0,
                false => (WORKER + received + tls) * u64::from(case.workers) * case.ends_own,
            },
            source: match objects {
                Some(_) => "this kernel's object sizes, /proc/slabinfo",
                None => "as measured on Linux 6.18; only root may read /proc/slabinfo",
            }
            .into(),
        }
    }

    /// The least that a connection takes. Buffers are only an estimate, and memory that is kept until a ticket arrives
    /// may be freed at once.
    fn least(&self) -> u64 {
        self.each - self.buffers - self.until_ticket
    }
}

/// Kernel bytes of one end.
fn end_bytes(o: &SocketObjects, case: &Case, connects: bool) -> u64 {
    let socket = match (case.v6, o.tcp6) {
        _ if case.question.unix => UNIX_SOCKET,
        (true, Some(tcp6)) => tcp6,
        _ => o.tcp,
    };
    // An accepted socket shares the listener's bind bucket, and many targets share those of their ports.
    let bind = match connects && !case.spreads() && !case.question.unix {
        true => o.bind.unwrap_or(0),
        false => 0,
    };
    u64::from(socket + o.inode + o.dentry + o.file + bind) + case.engine.watching_bytes_per_end(o)
}

/// Kernel bytes that a cgroup is charged, on Linux 6.18, for a connection whose local ends are all in it: the sizes of
/// the objects, each with the 8 bytes in which its slab records the owner. An end has an inode (832), a dentry and a
/// file (192 each), and what the engine arms on it. A client's end also has its socket (2368) and a bind bucket (256).
/// A server's socket is created while the handshake's last packet is handled, and is charged to no cgroup.
fn charged(case: &Case) -> u64 {
    const SOCKET: u64 = TCP_SOCKET + 8;
    const BIND: u64 = 256 + 2 * 8;
    let end = 832 + 2 * 192 + 3 * 8 + case.engine.charged_bytes_per_end();
    let bind = if case.spreads() { 0 } else { BIND };
    let client = if case.connects() {
        end + SOCKET + bind
    } else {
        0
    };
    let accepts = case.question.role == Role::Server || case.ends_own == 2;
    client + if accepts { end } else { 0 }
}

/// The share of connections with a message under way; `None` if they send as fast as the kernel accepts.
fn share_under_way(case: &Case) -> Option<f64> {
    let question = case.question;
    match (
        question.in_flight,
        question.connections,
        question.message_rate,
    ) {
        (Some(n), Some(all), _) => Some((n as f64 / all.max(1) as f64).min(1.0)),
        (Some(_), None, _) => Some(1.0),
        (None, _, Some(rate)) => Some((rate.get() * UNDER_WAY_S).min(1.0)),
        (None, _, None) => None,
    }
}

/// Mean bytes in the socket buffers of a connection on this machine.
fn buffers(case: &Case) -> u64 {
    let Some(message) = case.question.message_bytes else {
        return 0;
    };
    match share_under_way(case) {
        Some(share) => ((message.saturating_add(SKB)) as f64 * share) as u64,
        // As fast as possible: both queues are filled to their initial size.
        None => {
            let default = |of: Option<[u64; 3]>, otherwise: u64| of.map_or(otherwise, |a| a[1]);
            let tcp = &case.host.tcp;
            let sent = default(tcp.wmem, 16_384);
            let received = match case.ends_here {
                2 => default(tcp.rmem, 131_072),
                _ => 0,
            };
            (sent + received).min(message.saturating_add(SKB).saturating_mul(64))
        }
    }
}

pub(super) fn limits(case: &Case, each: &Bytes) -> Vec<Limit> {
    let mut all = vec![machine(case, each)];
    all.extend(cgroup(case, each));
    if !case.question.unix {
        all.push(tcp_mem(case, each));
    }
    all
}

fn fits(case: &Case, each: u64, fixed: u64, available: u64) -> u64 {
    available
        .saturating_sub(reserve(case.host))
        .saturating_sub(fixed)
        / each.max(1)
}

/// Marks `limit` as unsure if the connections fit with the least memory that they may take: the run may work.
fn rated(case: &Case, limit: Limit, least: u64, fixed: u64, available: u64) -> Limit {
    let least_fits = |asked| fits(case, least, fixed, available) >= asked;
    match case.question.asked_here().is_some_and(least_fits) {
        true => limit.unsure(),
        false => limit,
    }
}

fn words(case: &Case, each: &Bytes, available: u64) -> String {
    let mut text = match case.question.asked_here() {
        Some(asked) => format!(
            "{} {} {}, ",
            things(asked, "connection"),
            verb(asked, "needs", "need"),
            bytes(asked.saturating_mul(each.each).saturating_add(each.fixed))
        ),
        None => String::new(),
    };
    text += &format!(
        "{} available, less a reserve of {}; a connection takes {} bytes here",
        bytes(available),
        bytes(reserve(case.host)),
        count(each.each)
    );
    if each.buffers > 0 {
        text += &format!(", {} of them in buffers", count(each.buffers));
    }
    if each.until_ticket > 0 {
        text += &format!(
            ", {} of them until its server has sent a ticket or data",
            count(each.until_ticket)
        );
    }
    text
}

fn more(case: &Case, each: &Bytes) -> String {
    let needed = |asked: u64| asked.saturating_mul(each.each) + each.fixed + reserve(case.host);
    match case.question.asked_here() {
        Some(asked) => bytes(needed(asked)),
        None => "more".into(),
    }
}

fn machine(case: &Case, each: &Bytes) -> Limit {
    let available = case.host.memory.available;
    let limit = Limit::held(
        LimitKind::Memory,
        fits(case, each.each, each.fixed, available),
        words(case, each, available),
        format!("MemAvailable in /proc/meminfo; {}", each.source),
    )
    .lifted([
        Lift::by(format!("make {} available", more(case, each))),
        Lift::by("spread the connections over more machines"),
    ]);
    rated(case, limit, each.least(), each.fixed, available)
}

fn cgroup(case: &Case, all: &Bytes) -> Option<Limit> {
    let cgroup = case.host.memory.cgroup.as_ref()?;
    // Version 1 accounts for buffers apart, under a limit of their own (memory.kmem.tcp.limit_in_bytes).
    let buffers = match cgroup.version {
        1 => 0,
        _ => all.buffers,
    };
    let each = &Bytes {
        each: all.charged - all.buffers + buffers,
        buffers,
        ..all.clone()
    };
    let file = match cgroup.version {
        1 => "memory.limit_in_bytes",
        _ => "memory.max",
    };
    let wanted = case.question.asked_here().map_or_else(
        || "BYTES".into(),
        |asked| {
            let used = cgroup.limit.unwrap_or(0).saturating_sub(cgroup.available);
            let needed = asked.saturating_mul(each.each) + each.fixed + reserve(case.host) + used;
            needed.next_multiple_of(1 << 20).to_string()
        },
    );
    let limit = Limit::held(
        LimitKind::CgroupMemory,
        fits(case, each.each, each.fixed, cgroup.available),
        words(case, each, cgroup.available),
        format!(
            "{}/{file}; as measured on Linux 6.18, which does not charge it for every object",
            cgroup.path
        ),
    )
    .lifted([
        Lift::by("raise the cgroup's limit")
            .command(format!("echo {wanted} | sudo tee {}/{file}", cgroup.path)),
        Lift::by("for a container: docker run --memory; in a systemd unit: MemoryMax="),
    ]);
    let least = each.least();
    Some(rated(case, limit, least, each.fixed, cgroup.available))
}

/// Memory for the socket buffers of the whole machine. Sockets with empty queues are not charged.
fn tcp_mem(case: &Case, each: &Bytes) -> Limit {
    const KIND: LimitKind = LimitKind::TcpMemory;
    let Some([_, pressure, high]) = case.host.tcp.mem_pages else {
        return Limit::unread(KIND, case.host, "net.ipv4.tcp_mem");
    };
    let source = "net.ipv4.tcp_mem (pages: low, pressure, high), mem in /proc/net/sockstat";
    let page = case.host.memory.page.max(1024);
    let words = format!(
        "{} for the buffers of all sockets, under pressure from {} on",
        bytes(high.saturating_mul(page)),
        bytes(pressure.saturating_mul(page))
    );
    if each.buffers == 0 {
        return Limit::free(
            KIND,
            format!("{words}; idle connections have none (--message-size includes traffic)"),
            source,
        );
    }
    // A socket is charged in whole pages, for as long as something is queued.
    let share = share_under_way(case).unwrap_or(1.0);
    let queued = (each.buffers as f64 / share).ceil() as u64;
    let pages = queued.div_ceil(page) as f64 * share;
    let left = high.saturating_sub(case.host.tcp.mem_used_pages.unwrap_or(0));
    let allows = (left as f64 / pages) as u64;
    let wanted = (case.goal(allows.saturating_mul(2)) as f64 * pages).ceil() as u64;
    Limit::held(
        KIND,
        allows,
        format!(
            "{words}; a connection has {} bytes of messages under way",
            count(each.buffers)
        ),
        source,
    )
    .unsure()
    .lifted([Lift::by("raise it").command(format!(
        "sudo sysctl -w net.ipv4.tcp_mem=\"{} {} {}\"",
        wanted,
        wanted + wanted / 4,
        wanted + wanted / 2
    ))])
}
