//! wrk's lines.

use super::{HttpResult, Spread};
use std::io::{self, Write};
use std::time::Duration;
use throng_core::protocol::http::Failed;
use throng_core::stats::Durations;

/// The percentages of wrk's distribution.
const PERCENTAGES: [u32; 4] = [50, 75, 90, 99];

/// Writes wrk's lines for `result`, which `threads` threads brought; with `latency`, also its distribution.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_wrk(
    result: &HttpResult,
    threads: u32,
    latency: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let took = result.took();
    let spread = Spread::of(took);
    let within =
        |value: f64| (value - spread.mean.as_secs_f64()).abs() <= spread.deviation.as_secs_f64();
    let near: u64 = took
        .values()
        .filter(|(took, _)| within(took.as_secs_f64()))
        .map(|(_, n)| n)
        .sum();
    writeln!(
        out,
        "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency {:>8} {:>10} {:>9} {:>8.2}%",
        time(spread.mean),
        time(spread.deviation),
        time(spread.max),
        share(near, took.count())
    )?;
    let mut rates = rates(result, threads);
    if rates.is_empty() {
        // The run was over within its first second.
        rates.push(result.per_s(result.http.completed) / f64::from(threads.max(1)));
    }
    let (middle, deviation) = mean_and_deviation(&rates);
    let near = rates
        .iter()
        .filter(|rate| (**rate - middle).abs() <= deviation);
    writeln!(
        out,
        "    Req/Sec {:>8} {:>10} {:>9} {:>8.2}%",
        metric(middle),
        metric(deviation),
        metric(rates.iter().copied().fold(0.0, f64::max)),
        share(near.count() as u64, rates.len() as u64)
    )?;
    if latency {
        distribution(took, out)?;
    }
    let (http, traffic) = (&result.http, &result.summary.traffic);
    writeln!(
        out,
        "  {} requests in {}, {} read",
        http.completed,
        time(Duration::from_secs_f64(result.seconds)),
        size(traffic.bytes_received as f64)
    )?;
    let timeout = result.failed(&[Failed::TimedOut, Failed::Timeout]);
    let write = result.failed(&[Failed::Error]);
    let read = result.failed_in_all() - timeout - write;
    if result.unconnected() + read + write + timeout > 0 {
        writeln!(
            out,
            "  Socket errors: connect {}, read {read}, write {write}, timeout {timeout}",
            result.unconnected()
        )?;
    }
    let odd = result.outside(&['2', '3']);
    if odd > 0 {
        writeln!(out, "  Non-2xx or 3xx responses: {odd}")?;
    }
    writeln!(out, "Requests/sec: {:>9.2}", result.per_s(http.completed))?;
    let bytes = result.per_s(traffic.bytes_received);
    writeln!(out, "Transfer/sec: {:>10}", size(bytes))
}

fn distribution(took: &Durations, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "  Latency Distribution")?;
    for percent in PERCENTAGES {
        let at = took.percentile(percent.into()).unwrap_or_default();
        writeln!(out, "{percent:>7}% {:>8}", time(at))?;
    }
    Ok(())
}

/// Requests per second of each thread, in each whole second. Threads share nothing, and each has as many connections as the
/// others. The last interval is shorter, and the load ended in it.
fn rates(result: &HttpResult, threads: u32) -> Vec<f64> {
    let samples = &result.summary.over_time;
    let began = std::iter::once(0.0).chain(samples.iter().map(|sample| sample.at_s));
    let lasted: Vec<f64> = (samples.iter().zip(began))
        .map(|(sample, began)| sample.at_s - began)
        .collect();
    let longest = lasted.iter().copied().fold(0.0, f64::max);
    samples
        .iter()
        .zip(lasted)
        .filter(|(sample, lasted)| sample.messages_per_s > 0.0 && *lasted > 0.9 * longest)
        .map(|(sample, _)| sample.messages_per_s / f64::from(threads.max(1)))
        .collect()
}

fn mean_and_deviation(all: &[f64]) -> (f64, f64) {
    let n = all.len().max(1) as f64;
    let mean = all.iter().sum::<f64>() / n;
    let squares: f64 = all.iter().map(|one| (one - mean) * (one - mean)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

/// A time as wrk writes it: `635.91us`, `12.92ms`, `30.00s`, `2.00m`.
fn time(of: Duration) -> String {
    let us = of.as_nanos() as f64 / 1e3;
    match us {
        us if us < 1e3 => format!("{us:.2}us"),
        us if us < 1e6 => format!("{:.2}ms", us / 1e3),
        us if us < 6e7 => format!("{:.2}s", us / 1e6),
        us if us < 3.6e9 => format!("{:.2}m", us / 6e7),
        us => format!("{:.2}h", us / 3.6e9),
    }
}

/// A number as wrk writes it: `56.20k`.
fn metric(number: f64) -> String {
    scaled(number, 1000.0, &["", "k", "M", "G"])
}

/// Bytes as wrk writes them: `17.76GB`.
fn size(bytes: f64) -> String {
    scaled(bytes, 1024.0, &["B", "KB", "MB", "GB", "TB"])
}

fn scaled(mut number: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while number >= step && unit + 1 < units.len() {
        number /= step;
        unit += 1;
    }
    format!("{number:.2}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_the_units_of_wrk() {
        for (ns, text) in [
            (635_910, "635.91us"),
            (12_920_000, "12.92ms"),
            (30_000_000_000, "30.00s"),
            (120_000_000_000, "2.00m"),
        ] {
            assert_eq!(time(Duration::from_nanos(ns)), text);
        }
        for (bytes, text) in [(5.0, "5.00B"), (19_069_500_000.0, "17.76GB")] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(metric(56_200.0), "56.20k");
    }
}
