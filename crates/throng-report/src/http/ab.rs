//! ab's lines.

use super::{HttpResult, Spread, ms};
use std::io::{self, Write};
use std::time::Duration;
use throng_core::protocol::http::Failed;
use throng_core::stats::Durations;

/// What else ab's lines depend on: the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AbStyle {
    /// Host of the URL.
    pub host: String,
    /// Its port.
    pub port: String,
    /// Its path.
    pub path: String,
    /// Connections.
    pub concurrency: u32,
    /// Connections are kept (`-k`).
    pub keeps_alive: bool,
    /// Requests have a body.
    pub has_body: bool,
    /// No table of percentages (`-d`).
    pub no_percentages: bool,
    /// No median and no deviation (`-S`).
    pub no_deviation: bool,
}

/// The percentages of ab's table.
const PERCENTAGES: [u32; 9] = [50, 66, 75, 80, 90, 95, 98, 99, 100];

/// Writes ab's lines for `result`.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_ab(result: &HttpResult, style: &AbStyle, out: &mut impl Write) -> io::Result<()> {
    for (label, value) in lines(result, style) {
        if matches!(label, "Document Path" | "Concurrency Level") {
            writeln!(out)?;
        }
        writeln!(out, "{:<23} {value}", format!("{label}:"))?;
        if label == "Failed requests" && failures(result) > 0 {
            writeln!(
                out,
                "   (Connect: {}, Receive: {}, Length: 0, Exceptions: {})",
                result.unconnected(),
                result.failed_in_all() - result.failed(&[Failed::Error]),
                result.failed(&[Failed::Error])
            )?;
        }
    }
    let all = Rows::of(result, style);
    if all.total.count() == 0 {
        return Ok(());
    }
    times(&all, style, out)?;
    match style.no_percentages {
        true => Ok(()),
        false => percentages(&all.total, out),
    }
}

/// What ab counts as failed: attempts to connect, and requests.
fn failures(result: &HttpResult) -> u64 {
    result.unconnected() + result.failed_in_all()
}

/// The labels and their values. Those that ab prints only if they are not zero are left out if they are.
pub(super) fn lines(result: &HttpResult, style: &AbStyle) -> Vec<(&'static str, String)> {
    let (http, traffic) = (&result.http, &result.summary.traffic);
    let answered: u64 = http.status.values().sum();
    let length = http.body_bytes.checked_div(answered).unwrap_or(0);
    let kilobytes = |bytes: u64| result.per_s(bytes) / 1024.0;
    let done = http.completed;
    // A number that the run has found is not among what was asked for.
    let found = result.summary.maximum.as_ref().map(|m| m.connections);
    let concurrency = found.unwrap_or(style.concurrency.into());
    let each = |of: f64| match done {
        0 => 0.0,
        done => result.seconds * 1e3 * of / done as f64,
    };
    let unkept = result.outside(&['2']);
    let mut all = vec![
        ("Server Software", String::new()),
        ("Server Hostname", style.host.clone()),
        ("Server Port", style.port.clone()),
        ("Document Path", style.path.clone()),
        ("Document Length", format!("{length} bytes")),
        ("Concurrency Level", concurrency.to_string()),
        (
            "Time taken for tests",
            format!("{:.3} seconds", result.seconds),
        ),
        ("Complete requests", done.to_string()),
        ("Failed requests", failures(result).to_string()),
        ("Write errors", "0".into()),
    ];
    if unkept > 0 {
        all.push(("Non-2xx responses", unkept.to_string()));
    }
    if style.keeps_alive {
        let kept = answered.saturating_sub(http.announced);
        all.push(("Keep-Alive requests", kept.to_string()));
    }
    all.push((
        "Total transferred",
        format!("{} bytes", traffic.bytes_received),
    ));
    if style.has_body {
        all.push(("Total body sent", traffic.bytes_sent.to_string()));
    }
    all.extend([
        ("HTML transferred", format!("{} bytes", http.body_bytes)),
        (
            "Requests per second",
            format!("{:.2} [#/sec] (mean)", result.per_s(done)),
        ),
        (
            "Time per request",
            format!("{:.3} [ms] (mean)", each(concurrency as f64)),
        ),
        (
            "Time per request",
            format!(
                "{:.3} [ms] (mean, across all concurrent requests)",
                each(1.0)
            ),
        ),
        (
            "Transfer rate",
            format!(
                "{:.2} [Kbytes/sec] received",
                kilobytes(traffic.bytes_received)
            ),
        ),
    ]);
    all
}

/// What ab's table of times is made of.
struct Rows {
    connect: Durations,
    processing: Durations,
    waiting: Durations,
    total: Durations,
}

impl Rows {
    fn of(result: &HttpResult, style: &AbStyle) -> Rows {
        let processing = result.took().clone();
        let mut connect = result.measured.connect.clone();
        // A request on a connection that is there already takes no time to connect.
        let more = processing.count().saturating_sub(connect.count());
        connect.record_many(Duration::ZERO, u32::try_from(more).unwrap_or(u32::MAX));
        let total = match style.keeps_alive {
            true => processing.clone(),
            false => together(&result.measured.connect, &processing),
        };
        Rows {
            connect,
            processing,
            waiting: result.measured.ttfb.clone(),
            total,
        }
    }
}

/// The sums of durations of the same rank: connecting and processing are measured apart, and which belong together is not
/// known.
fn together(connect: &Durations, processing: &Durations) -> Durations {
    let mut sums = Durations::default();
    let (mut seen, all) = (0, processing.count());
    for (took, n) in processing.values() {
        // The middle of the ranks that have this value.
        let rank = (seen as f64 + n as f64 / 2.0) * 100.0 / all as f64;
        let before = connect.percentile(rank).unwrap_or_default();
        sums.record_many(took + before, u32::try_from(n).unwrap_or(u32::MAX));
        seen += n;
    }
    sums
}

fn times(rows: &Rows, style: &AbStyle, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nConnection Times (ms)")?;
    match style.no_deviation {
        true => writeln!(out, "              min   avg   max")?,
        false => writeln!(out, "              min  mean[+/-sd] median   max")?,
    }
    for (label, all) in [
        ("Connect:", &rows.connect),
        ("Processing:", &rows.processing),
        ("Waiting:", &rows.waiting),
        ("Total:", &rows.total),
    ] {
        let spread = Spread::of(all);
        let [min, mean, median, max] =
            [spread.min, spread.mean, spread.median, spread.max].map(|took| ms(took).round());
        match style.no_deviation {
            true => writeln!(out, "{label:<12}{min:>5} {mean:>5} {max:>5}")?,
            false => writeln!(
                out,
                "{label:<12}{min:>5} {mean:>4} {:>5.1} {median:>6} {max:>7}",
                ms(spread.deviation)
            )?,
        }
    }
    Ok(())
}

fn percentages(total: &Durations, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "\nPercentage of the requests served within a certain time (ms)"
    )?;
    for percent in PERCENTAGES {
        let at = total.percentile(percent.into()).unwrap_or_default();
        let longest = match percent {
            100 => " (longest request)",
            _ => "",
        };
        writeln!(out, "{percent:>4}%  {:>5}{longest}", ms(at).round())?;
    }
    Ok(())
}
