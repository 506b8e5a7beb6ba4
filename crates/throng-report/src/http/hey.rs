//! hey's lines.

use super::HttpResult;
use std::io::{self, Write};
use std::time::Duration;
use throng_core::stats::Durations;

/// Bars of hey's histogram.
const BARS: usize = 10;
/// The length of the longest bar.
const LONGEST: u64 = 40;
/// The percentages of hey's distribution.
const PERCENTAGES: [u32; 7] = [10, 25, 50, 75, 90, 95, 99];

/// Writes hey's lines for `result`.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_hey(result: &HttpResult, out: &mut impl Write) -> io::Result<()> {
    let (took, http) = (result.took(), &result.http);
    let s = |of: Option<Duration>| of.unwrap_or_default().as_secs_f64();
    let answered: u64 = http.status.values().sum();
    writeln!(out, "\nSummary:")?;
    writeln!(out, "  Total:\t{:.4} secs", result.seconds)?;
    writeln!(out, "  Slowest:\t{:.4} secs", s(took.percentile(100.0)))?;
    writeln!(out, "  Fastest:\t{:.4} secs", s(took.min()))?;
    writeln!(out, "  Average:\t{:.4} secs", s(took.mean()))?;
    writeln!(out, "  Requests/sec:\t{:.4}", result.per_s(http.completed))?;
    if http.body_bytes > 0 {
        let each = http.body_bytes.checked_div(answered).unwrap_or(0);
        writeln!(out, "\n  Total data:\t{} bytes", http.body_bytes)?;
        writeln!(out, "  Size/request:\t{each} bytes")?;
    }
    if took.count() > 0 {
        histogram(took, out)?;
        writeln!(out, "\nLatency distribution:")?;
        for percent in PERCENTAGES {
            let at = s(took.percentile(percent.into()));
            writeln!(out, "  {percent}% in {at:.4} secs")?;
        }
        writeln!(out, "\nDetails (average, fastest, slowest):")?;
        for (label, of) in [
            ("DNS+dialup", &result.measured.connect),
            ("resp wait", &result.measured.ttfb),
        ] {
            let [mean, min, max] = [of.mean(), of.min(), of.percentile(100.0)].map(s);
            writeln!(
                out,
                "  {label}:\t{mean:.4} secs, {min:.4} secs, {max:.4} secs"
            )?;
        }
    }
    writeln!(out, "\nStatus code distribution:")?;
    for (status, n) in &http.status {
        writeln!(out, "  [{}]\t{n} responses", status.name())?;
    }
    let connections = result.summary.connections.failed.iter();
    let errors = connections.map(|(cause, n)| (*n, cause.words()));
    let failed = http.failed.iter().map(|(why, n)| (*n, why.words()));
    let errors: Vec<(u64, &str)> = errors.chain(failed).collect();
    if !errors.is_empty() {
        writeln!(out, "\nError distribution:")?;
    }
    for (n, words) in errors {
        writeln!(out, "  [{n}]\t{words}")?;
    }
    Ok(())
}

fn histogram(took: &Durations, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nResponse time histogram:")?;
    let (min, max) = (
        took.values()
            .next()
            .map_or(0.0, |(took, _)| took.as_secs_f64()),
        took.percentile(100.0).unwrap_or_default().as_secs_f64(),
    );
    let step = (max - min) / BARS as f64;
    let mut bars = [0_u64; BARS + 1];
    for (took, n) in took.values() {
        let beyond = took.as_secs_f64() - min;
        let bar = match step > 0.0 {
            true => (beyond / step).ceil().max(0.0) as usize,
            false => 0,
        };
        bars[bar.min(BARS)] += n;
    }
    let most = bars.iter().copied().max().unwrap_or(0).max(1);
    for (n, bar) in bars.iter().enumerate() {
        let to = min + step * n as f64;
        let drawn = "\u{25a0}".repeat(usize::try_from(bar * LONGEST / most).unwrap_or(0));
        writeln!(out, "  {to:.3} [{bar}]\t|{drawn}")?;
    }
    Ok(())
}
