//! tcpkali's lines, as its users' scripts parse them: spacing, units and rounding are those of tcpkali 1.1. There are
//! notes at the start ([`write_start`]), the outcome of ramping up ([`ramped_up`], [`not_ramped_up`]) and the result
//! ([`write_result`]).
//!
//! tcpkali itself prints the result to stdout and all else to stderr.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use throng_core::summary::{Finding, LatencyAt, LatencyOf, SearchSummary, Summary};

/// What is printed before the first connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Where connections go.
    pub destinations: Vec<SocketAddr>,
    /// The source addresses that were asked for. With them, no interface is printed.
    pub sources: Vec<IpAddr>,
    /// How each destination is reached.
    pub ways: Vec<Way>,
    /// Where connections are accepted.
    pub listening: Vec<SocketAddr>,
}

/// The interface that leads to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The destination.
    pub to: SocketAddr,
    /// The interface's name.
    pub interface: String,
    /// Its addresses of the destination's family.
    pub addresses: Vec<IpAddr>,
}

/// An address as tcpkali writes it: `[127.0.0.1]:80`, `[::1]:80`.
fn address(at: SocketAddr) -> String {
    format!("[{}]:{}", at.ip(), at.port())
}

/// Writes where connections go, where they come from and where they are accepted.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_start(start: &Start, out: &mut impl Write) -> io::Result<()> {
    for to in &start.destinations {
        writeln!(out, "Destination: {}", address(*to))?;
    }
    for source in &start.sources {
        writeln!(out, "Source IP: {}", address((*source, 0).into()))?;
    }
    // An interface's address is printed once, however many destinations it leads to.
    let mut printed: Vec<IpAddr> = Vec::new();
    for way in start.ways.iter().filter(|_| start.sources.is_empty()) {
        for ip in &way.addresses {
            if !printed.contains(ip) {
                printed.push(*ip);
                let at = address((*ip, 0).into());
                writeln!(out, "Interface {} address {at}", way.interface)?;
            }
        }
        let to = address(way.to);
        writeln!(out, "Using interface {} to connect to {to}", way.interface)?;
    }
    for at in &start.listening {
        writeln!(out, "Listen on: {}", address(*at))?;
    }
    Ok(())
}

/// The line that says that all connections are established.
pub fn ramped_up(connections: u64) -> String {
    format!("Ramped up to {connections} connections.")
}

/// The line that says that they were not established within `limit`.
pub fn not_ramped_up(connections: u64, limit: Duration) -> String {
    let s = if connections == 1 { "" } else { "s" };
    let limit = general(limit.as_secs_f64());
    format!("Could not create {connections} connection{s} in allotted time ({limit}s)")
}

/// The line that says that a buffer's size is not what was asked for: of `--rcvbuf` or `--sndbuf`.
pub fn no_effect(option: &str) -> String {
    format!("WARNING: {option} option makes no effect.")
}

/// The line that says that the text of `--message-stop` was received.
pub fn stopped(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    format!("Found --message-stop=\"{text}\", aborting.")
}

/// The highest message rate at which latency stays under a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct BestRate {
    /// The bound as the user wrote it.
    pub bound: String,
    /// The percentile of latency that stays under it.
    pub percentile: f64,
    /// Messages per second on each connection.
    pub per_s: f64,
}

impl BestRate {
    /// What `search` found, if it found one.
    fn of(search: &SearchSummary) -> Option<BestRate> {
        let settled = search.is_settled();
        let per_s = search.held_per_connection_per_s.filter(|_| settled)?;
        Some(BestRate {
            bound: search.under.clone(),
            percentile: search.percentile,
            per_s,
        })
    }

    /// The line for it.
    fn line(&self) -> String {
        let of = superscript(&general(self.percentile));
        let rate = general(self.per_s);
        format!(
            "Best --message-rate for latency {}{of}ᵖ is {rate}",
            self.bound
        )
    }
}

/// The line that says that the search for it took too long, or found none.
pub fn no_best_rate(bound: &str, at_most: Option<Duration>) -> String {
    match at_most {
        Some(limit) => format!(
            "Failed to find the best --message-rate for latency {bound} in -T{} seconds",
            general(limit.as_secs_f64())
        ),
        None => format!(
            "Best --message-rate for latency {bound} can not be determined in time due to unstable target system behavior"
        ),
    }
}

/// The data of the result's lines: counts from the last attempt to connect to the end, of both ends together if both
/// are in this process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TcpkaliReport {
    /// How long that was.
    pub seconds: f64,
    /// Connections that were open at the end.
    pub connections: u64,
    /// Bytes that the kernel took.
    pub bytes_sent: u64,
    /// Bytes read.
    pub bytes_received: u64,
    /// Writes that completed.
    pub writes: u64,
    /// Reads that returned bytes.
    pub reads: u64,
    /// Messages sent and received, if messages have markers.
    pub messages: Option<(u64, u64)>,
    /// Latencies that were asked for.
    pub latencies: Vec<LatencyAt>,
    /// What a search found.
    pub best_rate: Option<BestRate>,
}

impl TcpkaliReport {
    /// That of a run.
    pub fn of(summary: &Summary) -> TcpkaliReport {
        let mut report = TcpkaliReport {
            seconds: summary.seconds,
            connections: summary.connections.open_at_end,
            latencies: summary.latencies.clone(),
            best_rate: summary.search.as_ref().and_then(BestRate::of),
            ..TcpkaliReport::default()
        };
        let mut sides = vec![&summary.traffic];
        match &summary.steady {
            Some(steady) => {
                report.seconds = steady.seconds;
                report.connections = steady.opened + steady.accepted;
                sides = vec![&steady.traffic];
                sides.extend(&steady.accepted_traffic);
            }
            None => sides.extend(&summary.server_traffic),
        }
        let (mut sent, mut received) = (0, 0);
        for side in sides {
            report.bytes_sent += side.bytes_sent;
            report.bytes_received += side.bytes_received;
            report.writes += side.writes;
            report.reads += side.reads;
            sent += side.messages_sent;
            received += side.replies;
        }
        let marked = summary.steady.as_ref().is_some_and(|s| s.marked);
        report.messages = marked.then_some((sent, received));
        report
    }
}

/// The exit code by tcpkali's rules. Success is that all connections were established in time, and that a search found
/// a rate; 130 is for an interrupted run. Rates that were missed and connections that were lost and reopened do not
/// count.
pub fn exit_code(summary: &Summary) -> u8 {
    let all_came_up = !summary.findings.iter().any(is_failure);
    let found = summary
        .search
        .as_ref()
        .is_none_or(SearchSummary::is_settled);
    match (summary.interrupted, all_came_up && found) {
        (true, _) => 130,
        (false, true) => 0,
        (false, false) => 1,
    }
}

/// Whether connections could not be established, or not used, which tcpkali does not report; or something that was
/// expected was not met, which it does not have.
pub fn is_failure(finding: &Finding) -> bool {
    matches!(
        finding,
        Finding::ConnectionsMissing { .. }
            | Finding::HandshakesMissing { .. }
            | Finding::ProtocolViolated { .. }
            | Finding::TunnelFailed { .. }
            | Finding::TlsFailed { .. }
            | Finding::ExpectationFailed(_)
    )
}

/// Writes the result.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_result(report: &TcpkaliReport, out: &mut impl Write) -> io::Result<()> {
    let r = report;
    // Without a duration there is no rate.
    let per_s = |n: u64| match r.seconds > 0.0 {
        true => n as f64 / r.seconds,
        false => 0.0,
    };
    let mbps = |bytes: u64| 8.0 * per_s(bytes) / 1e6;
    let both = r.bytes_sent.saturating_add(r.bytes_received);
    let each = per_s(both) / r.connections.max(1) as f64;
    let (sent, received) = (r.bytes_sent, r.bytes_received);
    writeln!(out, "Total data sent:     {} ({sent} bytes)", size(sent))?;
    writeln!(
        out,
        "Total data received: {} ({received} bytes)",
        size(received)
    )?;
    writeln!(
        out,
        "Bandwidth per channel: {:.3}⇅ Mbps ({:.1} kBps)",
        8.0 * each / 1e6,
        each / 1e3
    )?;
    writeln!(
        out,
        "Aggregate bandwidth: {:.3}↓, {:.3}↑ Mbps",
        mbps(received),
        mbps(sent)
    )?;
    if let Some((sent, received)) = r.messages {
        writeln!(
            out,
            "Aggregate message rate: {:.3}↓, {:.3}↑ mps",
            per_s(received),
            per_s(sent)
        )?;
    }
    let (down, up) = (segments(r.reads, received), segments(r.writes, sent));
    writeln!(
        out,
        "Packet rate estimate: {:.1}↓, {:.1}↑ ({down}↓, {up}↑ TCP MSS/op)",
        per_s(down.saturating_mul(r.reads)),
        per_s(up.saturating_mul(r.writes))
    )?;
    for latency in &r.latencies {
        writeln!(out, "{}", latency_line(latency))?;
    }
    writeln!(out, "Test duration: {} s.", general(r.seconds))?;
    if let Some(line) = r.best_rate.as_ref().map(BestRate::line) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn latency_line(latency: &LatencyAt) -> String {
    let title = match latency.of {
        LatencyOf::Connect => "TCP connect",
        LatencyOf::FirstByte => "First byte",
        LatencyOf::Message => "Message",
        LatencyOf::Pong => "Pong",
    };
    let mut values = String::new();
    let mut written = String::new();
    for (i, at) in latency.at.iter().enumerate() {
        let slash = if i == 0 { "" } else { "/" };
        // tcpkali prints 0.0 where nothing was measured.
        let ms = at.us.unwrap_or(0.0) / 1e3;
        let _ = write!(values, "{slash}{ms:.1}");
        let _ = write!(written, "{slash}{}", at.percentile);
    }
    format!("{title} latency at percentiles: {values} ms ({written}%)")
}

/// An amount of data. Only these three units; a GiB is 1024.0 MiB.
fn size(bytes: u64) -> String {
    match bytes {
        0..2048 => format!("{bytes} bytes"),
        2048..0x8_0000 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// The payload of a TCP segment over Ethernet, with IPv4 and no options (RFC 879).
const SEGMENT: u64 = 1460;

/// How many segments a read or write takes on average, rounded up.
fn segments(operations: u64, bytes: u64) -> u64 {
    bytes
        .checked_div(operations)
        .map_or(0, |each| each.div_ceil(SEGMENT))
}

/// A number in C's `%g`: six significant digits, no zeros at the end, an exponent if it is below 1e-4
/// or needs more than six digits before the point.
fn general(n: f64) -> String {
    if n == 0.0 || !n.is_finite() {
        return if n == 0.0 { "0".into() } else { n.to_string() };
    }
    // Rounding may carry into another digit, so the exponent is that of the rounded number.
    let scientific = format!("{n:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let bare = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        let decimals = (5 - exponent).max(0) as usize;
        return bare(&format!("{n:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", bare(digits), exponent.abs())
}

/// Superscript digits, as tcpkali writes the percentile after a latency.
fn superscript(text: &str) -> String {
    let raised = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    text.chars()
        .map(|c| match c.to_digit(10) {
            Some(digit) => raised[digit as usize],
            None => '·',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_c_prints_them_with_g() {
        // What printf "%g" gives.
        for (n, text) in [
            (0.0, "0"),
            (5.027_894, "5.02789"),
            (20.0022, "20.0022"),
            (132.681, "132.681"),
            (10.0, "10"),
            (24.4385, "24.4385"),
            (0.5, "0.5"),
            (0.0001, "0.0001"),
            (0.000_012_345_67, "1.23457e-05"),
            (999_999.5, "1e+06"),
            (999_999.4, "999999"),
            (1_234_567.0, "1.23457e+06"),
            (99_999.96, "100000"),
            (9.999_999_9, "10"),
            (1e100, "1e+100"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(general(n), text, "{n}");
        }
    }

    #[test]
    fn numbers_are_as_awk_prints_them_with_g() {
        // Mantissas at every power of ten that a rate or a time has, and those beside a carry.
        let mantissas = [
            1.0, 1.234_565, 2.5, 4.999_995, 9.999_994, 9.999_996, 7.777_777,
        ];
        let numbers: Vec<f64> = (-12..13)
            .flat_map(|power| mantissas.map(|m| m * 10f64.powi(power)))
            .collect();
        let lines: String = numbers.iter().map(|n| format!("{n:.17e}\n")).collect();
        let out = std::process::Command::new("sh")
            .args([
                "-c",
                "printf %s \"$0\" | awk '{ printf \"%g\\n\", $1 }'",
                &lines,
            ])
            .output()
            .expect("sh starts");
        let printed = String::from_utf8_lossy(&out.stdout).into_owned();
        let ours: Vec<String> = numbers.iter().map(|n| general(*n)).collect();
        assert_eq!(ours, printed.lines().collect::<Vec<_>>());
    }

    #[test]
    fn sizes_have_three_units() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (2047, "2047 bytes"),
            (2048, "2.0 KiB"),
            (162_605, "158.8 KiB"),
            (512 * 1024 - 1, "512.0 KiB"),
            (512 * 1024, "0.5 MiB"),
            (34_637_100, "33.0 MiB"),
            (30_266_158_036, "28864.1 MiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
