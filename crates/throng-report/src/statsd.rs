//! Metrics for StatsD, under tcpkali's names, once a second.
//!
//! They are gathered into datagrams by cadence and leave through a socket that never blocks. Whoever
//! calls this is no worker; and what can't be sent is counted and told once, and the run goes on.

use cadence::{BufferedUdpMetricSink, Counted, Gauged, MetricSink, StatsdClient};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::panic::RefUnwindSafe;
use std::time::Duration;
use throng_core::stats::Tally;
use throng_core::summary::{LatencyAt, LatencyOf};

/// The largest datagram: what an Ethernet frame holds after the headers of IPv6 and UDP, with room for
/// a tunnel's.
const DATAGRAM: usize = 1400;

/// What is reported of one interval. Its default, all zeros, is sent at a run's beginning and end, so
/// that graphs come down.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatsdTick {
    /// Connections of our own that came up in it.
    pub opened: u64,
    /// Accepted connections that are open.
    pub open_in: u64,
    /// Connections of our own that are open.
    pub open_out: u64,
    /// Bits read a second.
    pub bits_in_per_s: f64,
    /// Bits sent a second.
    pub bits_out_per_s: f64,
    /// Bytes read in it.
    pub bytes_received: u64,
    /// Bytes sent in it.
    pub bytes_sent: u64,
    /// Reads that gave bytes in it.
    pub reads: u64,
    /// Writes that completed in it.
    pub writes: u64,
    /// Messages received in it.
    pub messages_received: u64,
    /// Messages sent in it.
    pub messages_sent: u64,
    /// Latencies: since the beginning, or in a window. Those of which nothing was measured are left out.
    pub latencies: Vec<LatencyAt>,
}

impl StatsdTick {
    /// That of an interval in which `opened` and `accepted` counted so much; each is what was counted in
    /// it, and what stands at its end. Latencies are left to be filled in.
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

/// Where metrics go.
#[derive(Debug)]
pub struct Statsd {
    client: StatsdClient,
    to: SocketAddr,
    failed: u64,
}

impl Statsd {
    /// For the server at `host` and UDP port `port`. Nothing is sent yet: UDP does not tell whether
    /// anybody is there before something was.
    ///
    /// # Errors
    /// The name can't be resolved, or there is no socket.
    pub fn open(host: &str, port: u16, namespace: &str) -> io::Result<Statsd> {
        let none = || io::Error::new(io::ErrorKind::NotFound, "it has no address");
        let to = (host, port).to_socket_addrs()?.next().ok_or_else(none)?;
        let any: SocketAddr = match to {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        // Connected, it is told by a later send that nobody listens (ECONNREFUSED).
        socket.connect(to)?;
        let sink =
            BufferedUdpMetricSink::with_capacity(to, socket, DATAGRAM).map_err(io::Error::other)?;
        Ok(Statsd::into_sink(sink, to, namespace))
    }

    fn into_sink(
        sink: impl MetricSink + Send + Sync + RefUnwindSafe + 'static,
        to: SocketAddr,
        namespace: &str,
    ) -> Statsd {
        Statsd {
            client: StatsdClient::from_sink(namespace, sink),
            to,
            failed: 0,
        }
    }

    /// Sends what is to be told. Returns a line for the user when this is the first time that something
    /// could not be sent.
    pub fn send(&mut self, tick: &StatsdTick) -> Option<String> {
        let mut sending = Sending {
            client: &self.client,
            failed: 0,
            first: None,
        };
        sending.all(tick);
        let (failed, first) = (sending.failed, sending.first);
        let told = self.failed > 0;
        self.failed += failed;
        let why = first.filter(|_| !told)?;
        Some(format!(
            "metrics don't reach StatsD at {}: {why}; the run goes on without them",
            self.to
        ))
    }

    /// How often something could not be sent.
    pub fn failed(&self) -> u64 {
        self.failed
    }
}

/// One tick's metrics on their way.
struct Sending<'a> {
    client: &'a StatsdClient,
    failed: u64,
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
            self.failed += 1;
            self.first.get_or_insert_with(|| e.to_string());
        }
    }
}
