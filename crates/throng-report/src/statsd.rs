//! Metrics for StatsD, under tcpkali's names, once per second.
//!
//! cadence gathers them into datagrams, which are sent through a socket that never blocks. No worker calls this. What
//! can't be sent is counted and reported once, and the run goes on.

use cadence::{BufferedUdpMetricSink, Counted, Gauged, StatsdClient};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;
use throng_core::stats::Tally;
use throng_core::summary::{LatencyAt, LatencyOf};

/// The largest datagram: what an Ethernet frame holds after the headers of IPv6 and UDP, with room for
/// a tunnel's.
const DATAGRAM: usize = 1400;

/// The metrics of one interval. The default, all zeros, is sent at a run's beginning and end, so that graphs return to
/// zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatsdTick {
    /// Connections that this side opened and that were established in it.
    pub opened: u64,
    /// Accepted connections that are open.
    pub open_in: u64,
    /// Connections that this side opened and that are open.
    pub open_out: u64,
    /// Bits read per second.
    pub bits_in_per_s: f64,
    /// Bits sent per second.
    pub bits_out_per_s: f64,
    /// Bytes read in it.
    pub bytes_received: u64,
    /// Bytes sent in it.
    pub bytes_sent: u64,
    /// Reads that returned bytes in it.
    pub reads: u64,
    /// Writes that completed in it.
    pub writes: u64,
    /// Messages received in it.
    pub messages_received: u64,
    /// Messages sent in it.
    pub messages_sent: u64,
    /// Latencies: since the start, or in a window. Those without measurements are left out.
    pub latencies: Vec<LatencyAt>,
}

impl StatsdTick {
    /// The metrics of an interval from the counts of opened and accepted connections: those in it, and those at its
    /// end. The caller fills in latencies.
    pub fn of(
        interval: Duration,
        opened: Option<(&Tally, &Tally)>,
        accepted: Option<(&Tally, &Tally)>,
    ) -> StatsdTick {
        let mut tick = StatsdTick::default();
        for (recent, _) in opened.into_iter().chain(accepted) {
            tick.bytes_received += recent.bytes_received;
            tick.bytes_sent += recent.bytes_sent;
            tick.reads += recent.reads;
            tick.writes += recent.writes;
            tick.messages_received += recent.messages_received;
            tick.messages_sent += recent.messages_sent;
        }
        tick.opened = opened.map_or(0, |(recent, _)| recent.established);
        tick.open_out = opened.map_or(0, |(_, now)| now.open());
        tick.open_in = accepted.map_or(0, |(_, now)| now.open());
        let seconds = interval.as_secs_f64();
        if seconds > 0.0 {
            tick.bits_in_per_s = tick.bytes_received as f64 * 8.0 / seconds;
            tick.bits_out_per_s = tick.bytes_sent as f64 * 8.0 / seconds;
        }
        tick
    }
}

/// The destination of metrics: the first of several addresses that does not refuse them.
#[derive(Debug)]
pub struct Statsd {
    all: Vec<Path>,
    /// The one in use.
    at: usize,
    failed: u64,
}

/// The sender to one address.
#[derive(Debug)]
struct Path {
    client: StatsdClient,
    /// The socket that the client sends through.
    socket: UdpSocket,
    to: SocketAddr,
}

impl Statsd {
    /// A destination at one of `addresses`, such as those of a name. Nothing is sent yet: UDP reports a missing server
    /// only after something was sent.
    ///
    /// # Errors
    /// There is no address, or no socket for any.
    pub fn open(addresses: &[SocketAddr], namespace: &str) -> io::Result<Statsd> {
        let mut error = io::Error::new(io::ErrorKind::NotFound, "it has no address");
        let mut all = Vec::new();
        for to in addresses {
            match Path::open(*to, namespace) {
                Ok(path) => all.push(path),
                Err(e) => error = e,
            }
        }
        match all.is_empty() {
            true => Err(error),
            false => Ok(Statsd {
                all,
                at: 0,
                failed: 0,
            }),
        }
    }

    /// Sends `tick`; if it is refused, to the next address. Returns a line for the user the first time that something
    /// could not be sent.
    pub fn send(&mut self, tick: &StatsdTick) -> Option<String> {
        let mut first = None;
        for _ in 0..self.all.len() {
            let Err(why) = self.all[self.at].send(tick) else {
                return None;
            };
            first.get_or_insert(why);
            self.at = (self.at + 1) % self.all.len();
        }
        self.failed += 1;
        let why = first.filter(|_| self.failed == 1)?;
        let to: Vec<String> = self.all.iter().map(|path| path.to.to_string()).collect();
        Some(format!(
            "metrics don't reach StatsD at {}: {why}; the run goes on without them",
            to.join(" or ")
        ))
    }

    /// How many ticks could not be sent, or not completely.
    pub fn failed(&self) -> u64 {
        self.failed
    }
}

impl Path {
    fn open(to: SocketAddr, namespace: &str) -> io::Result<Path> {
        let any: SocketAddr = match to {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        // A connected socket reports that there is no listener (ECONNREFUSED): on this machine at once, else at a later
        // send.
        socket.connect(to)?;
        let sink = BufferedUdpMetricSink::with_capacity(to, socket.try_clone()?, DATAGRAM)
            .map_err(io::Error::other)?;
        Ok(Path {
            client: StatsdClient::from_sink(namespace, sink),
            socket,
            to,
        })
    }

    /// Sends `tick`, or returns why not all of it went out.
    fn send(&self, tick: &StatsdTick) -> Result<(), String> {
        let mut sending = Sending {
            client: &self.client,
            first: None,
        };
        sending.all(tick);
        match (sending.first, self.socket.take_error()) {
            (Some(why), _) => Err(why),
            (None, Ok(Some(refused))) => Err(refused.to_string()),
            (None, _) => Ok(()),
        }
    }
}

/// The metrics of one tick, while they are sent.
struct Sending<'a> {
    client: &'a StatsdClient,
    /// The first error.
    first: Option<String>,
}

impl Sending<'_> {
    fn all(&mut self, tick: &StatsdTick) {
        self.count("connections.opened", tick.opened);
        self.gauge("connections.total", tick.open_in + tick.open_out);
        self.gauge("connections.total.in", tick.open_in);
        self.gauge("connections.total.out", tick.open_out);
        let (bits_in, bits_out) = (tick.bits_in_per_s, tick.bits_out_per_s);
        self.gauge("traffic.bitrate", (bits_in + bits_out).round() as u64);
        self.gauge("traffic.bitrate.in", bits_in.round() as u64);
        self.gauge("traffic.bitrate.out", bits_out.round() as u64);
        self.count("traffic.data", tick.bytes_received + tick.bytes_sent);
        self.count("traffic.data.rcvd", tick.bytes_received);
        self.count("traffic.data.sent", tick.bytes_sent);
        self.count("traffic.data.reads", tick.reads);
        self.count("traffic.data.writes", tick.writes);
        self.count("traffic.msgs.rcvd", tick.messages_received);
        self.count("traffic.msgs.sent", tick.messages_sent);
        for latency in &tick.latencies {
            let of = match latency.of {
                LatencyOf::Connect => "connect",
                LatencyOf::FirstByte => "firstbyte",
                LatencyOf::Message => "message",
                LatencyOf::Pong => "pong",
            };
            let named = [
                ("min", latency.min_us),
                ("mean", latency.mean_us),
                ("max", latency.max_us),
            ];
            let asked = latency.at.iter().map(|at| (at.percentile.as_str(), at.us));
            for (name, us) in named.into_iter().chain(asked) {
                if let Some(us) = us {
                    self.milliseconds(&format!("latency.{of}.{name}"), us);
                }
            }
        }
        let sent = self.client.flush();
        self.note(sent);
    }

    fn count(&mut self, name: &str, n: u64) {
        let sent = self.client.count(name, n.min(i64::MAX as u64) as i64);
        self.note(sent.map(|_| ()));
    }

    fn gauge(&mut self, name: &str, n: u64) {
        let sent = self.client.gauge(name, n);
        self.note(sent.map(|_| ()));
    }

    /// In milliseconds, to the microsecond.
    fn milliseconds(&mut self, name: &str, us: f64) {
        let sent = self.client.gauge(name, us.round() / 1e3);
        self.note(sent.map(|_| ()));
    }

    fn note(&mut self, sent: cadence::MetricResult<()>) {
        if let Err(e) = sent {
            self.first.get_or_insert_with(|| e.to_string());
        }
    }
}
