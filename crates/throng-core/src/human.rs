//! Numbers for people: three significant digits and a unit for sizes, every digit for counts.
//!
//! An invalid number (not finite, or below zero) is written `?`: a report never fails.

use std::time::Duration;

/// The text for an invalid number.
const NONE: &str = "?";

/// A count, to the last digit: `1,000,000`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and what is counted: `1 worker`, `2 workers`.
pub fn things(n: u64, one: &str) -> String {
    format!("{} {one}{}", count(n), if n == 1 { "" } else { "s" })
}

/// The verb for so many things: `was` for one, `were` for none and for several.
pub fn verb(n: u64, one: &'static str, several: &'static str) -> &'static str {
    if n == 1 { one } else { several }
}

/// A number to three significant digits: `0.25`, `850`, `36.2k`, `1.20M`.
pub fn short(n: f64) -> String {
    if !n.is_finite() || n < 0.0 {
        return NONE.into();
    }
    if n > 0.0 && n < 0.001 {
        return "<0.001".into();
    }
    match scaled(n, 1000.0, &["", "k", "M", "G", "T", "P", "E"]) {
        // Without a prefix, trailing zeros say nothing: 5, not 5.00.
        (n, "") => trimmed(if n < 0.9995 {
            format!("{n:.3}")
        } else {
            three_digits(n)
        }),
        (n, prefix) => three_digits(n) + prefix,
    }
}

/// Events per second: `36.2k/s`.
pub fn rate(per_s: f64) -> String {
    short(per_s) + "/s"
}

/// Bytes, in binary units: `1023 B`, `1.50 KiB`, `64.0 MiB`.
pub fn bytes(n: u64) -> String {
    in_bytes(n as f64)
}

/// Bytes per second, in binary units: `938 KiB/s`.
pub fn throughput(bytes_per_s: f64) -> String {
    in_bytes(bytes_per_s) + "/s"
}

fn in_bytes(n: f64) -> String {
    if !n.is_finite() || n < 0.0 {
        return NONE.into();
    }
    match scaled(n, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]) {
        (n, "B") => format!("{n:.0} B"),
        (n, unit) => format!("{} {unit}", three_digits(n)),
    }
}

/// A span of time: `850 µs`, `1.24 ms`, `12.3 s`, `1m 05s`, `2h 03m`, `1d 04h`.
pub fn duration(span: Duration) -> String {
    seconds(span.as_secs_f64())
}

/// A span of microseconds, as [`duration`] writes it.
pub fn micros(us: f64) -> String {
    seconds(us / 1e6)
}

/// A span of seconds, as [`duration`] writes it.
pub fn seconds(s: f64) -> String {
    if !s.is_finite() || s < 0.0 {
        return NONE.into();
    }
    if s == 0.0 {
        return "0 s".into();
    }
    if s >= 59.95 {
        return clock(s.round() as u64);
    }
    match s {
        _ if s < 999.5e-9 => format!("{:.0} ns", s * 1e9),
        _ if s < 999.5e-6 => three_digits(s * 1e6) + " µs",
        _ if s < 999.5e-3 => three_digits(s * 1e3) + " ms",
        _ => three_digits(s) + " s",
    }
}

/// The rest of a span of time, in whole seconds, for a calm countdown: `16 s`, `1m 05s`.
pub fn countdown(left: Duration) -> String {
    let whole = left
        .as_secs()
        .saturating_add(u64::from(left.subsec_nanos() > 0));
    match whole {
        0..60 => format!("{whole} s"),
        _ => clock(whole),
    }
}

/// A minute or more, in its two greatest units.
fn clock(s: u64) -> String {
    match s {
        0..3600 => format!("{}m {:02}s", s / 60, s % 60),
        3600..86400 => format!("{}h {:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d {:02}h", s / 86400, s / 3600 % 24),
    }
}

/// The share of `part` in `whole`, rounded down, so that `100 %` means all: `99.99 %`. `None` if `whole` is 0.
pub fn percent(part: f64, whole: f64) -> Option<String> {
    if !(part.is_finite() && whole.is_finite() && part >= 0.0 && whole > 0.0) {
        return None;
    }
    let percent = part / whole * 100.0;
    if percent > 0.0 && percent < 0.01 {
        return Some("<0.01 %".into());
    }
    // The epsilon makes up for binary fractions: 0.9998 × 10^4 is a little less than 9998.
    let mut hundredths = (percent * 100.0 + 1e-6).floor();
    if part < whole {
        hundredths = hundredths.min(9999.0);
    }
    Some(trimmed(format!("{:.2}", hundredths / 100.0)) + " %")
}

/// `n` in the greatest of `units` in which it is at least one, as rounded by [`three_digits`].
fn scaled<'a>(mut n: f64, base: f64, units: &[&'a str]) -> (f64, &'a str) {
    let mut unit = 0;
    while n >= base - 0.5 && unit + 1 < units.len() {
        n /= base;
        unit += 1;
    }
    (n, units[unit])
}

/// Three significant digits of a number from 1 to 1000; of others, all digits before the point.
fn three_digits(n: f64) -> String {
    let decimals = match n {
        _ if n < 9.995 => 2,
        _ if n < 99.95 => 1,
        _ => 0,
    };
    format!("{n:.decimals$}")
}

/// `text` without trailing zeros of the fraction.
fn trimmed(text: String) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_every_digit() {
        for (n, text) in [
            (0, "0"),
            (7, "7"),
            (999, "999"),
            (1000, "1,000"),
            (999_999, "999,999"),
            (1_000_000, "1,000,000"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(count(n), text);
        }
        assert_eq!(things(1, "worker"), "1 worker");
        assert_eq!(things(0, "worker"), "0 workers");
        assert_eq!(
            [0, 1, 2].map(|n| verb(n, "was", "were")),
            ["were", "was", "were"]
        );
        assert_eq!(things(1000, "worker"), "1,000 workers");
    }

    #[test]
    fn rates_have_three_digits() {
        for (n, text) in [
            (0.0, "0/s"),
            (0.0004, "<0.001/s"),
            (0.001, "0.001/s"),
            (0.25, "0.25/s"),
            (0.9999, "1/s"),
            (1.5, "1.5/s"),
            (5.0, "5/s"),
            (9.996, "10/s"),
            (12.34, "12.3/s"),
            (99.96, "100/s"),
            (850.0, "850/s"),
            (999.4, "999/s"),
            (999.5, "1.00k/s"),
            (1000.0, "1.00k/s"),
            (36_180.0, "36.2k/s"),
            (999_499.0, "999k/s"),
            (999_500.0, "1.00M/s"),
            (1_200_000.0, "1.20M/s"),
            (u64::MAX as f64, "18.4E/s"),
            (-1.0, "?/s"),
            (f64::NAN, "?/s"),
            (f64::INFINITY, "?/s"),
        ] {
            assert_eq!(rate(n), text, "{n}");
        }
    }

    #[test]
    fn bytes_are_in_binary_units() {
        for (n, text) in [
            (0, "0 B"),
            (1, "1 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536, "1.50 KiB"),
            (10 << 10, "10.0 KiB"),
            (1000 << 10, "1000 KiB"),
            ((1 << 20) - 1, "1.00 MiB"),
            (64 << 20, "64.0 MiB"),
            (5 << 40, "5.00 TiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(n), text, "{n}");
        }
        assert_eq!(throughput(960_000.0), "938 KiB/s");
        assert_eq!(throughput(0.0), "0 B/s");
        assert_eq!(throughput(f64::NAN), "?/s");
    }

    #[test]
    fn spans_of_time_have_the_unit_that_fits() {
        for (ns, text) in [
            (0, "0 s"),
            (1, "1 ns"),
            (999, "999 ns"),
            (1000, "1.00 µs"),
            (850_000, "850 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (1_240_000, "1.24 ms"),
            (999_500_000, "1.00 s"),
            (12_300_000_000, "12.3 s"),
            (59_940_000_000, "59.9 s"),
            (59_950_000_000, "1m 00s"),
            (65_000_000_000, "1m 05s"),
            (3_599_600_000_000, "1h 00m"),
            (7_380_000_000_000, "2h 03m"),
            (100_800_000_000_000, "1d 04h"),
        ] {
            assert_eq!(duration(Duration::from_nanos(ns)), text, "{ns}");
        }
        assert!(duration(Duration::MAX).ends_with('h'));
        assert_eq!(duration(Duration::from_nanos(u64::MAX)), "213503d 23h");
        assert_eq!(micros(1240.0), "1.24 ms");
        assert_eq!(seconds(-1.0), "?");
        assert_eq!(seconds(f64::NAN), "?");
    }

    #[test]
    fn countdowns_are_in_whole_seconds() {
        for (ms, text) in [
            (0, "0 s"),
            (1, "1 s"),
            (15_999, "16 s"),
            (59_001, "1m 00s"),
            (65_000, "1m 05s"),
        ] {
            assert_eq!(countdown(Duration::from_millis(ms)), text, "{ms}");
        }
        countdown(Duration::MAX);
    }

    #[test]
    fn a_hundred_percent_means_all() {
        for (part, whole, text) in [
            (0.0, 5.0, Some("0 %")),
            (1.0, 2.0, Some("50 %")),
            (9998.0, 10_000.0, Some("99.98 %")),
            (999_999.0, 1_000_000.0, Some("99.99 %")),
            (1e6, 1e6, Some("100 %")),
            (1.0, 1e6, Some("<0.01 %")),
            (1.0, 3.0, Some("33.33 %")),
            (1.0025, 1.0, Some("100.25 %")),
            (1.0, 0.0, None),
            (f64::NAN, 1.0, None),
        ] {
            assert_eq!(percent(part, whole).as_deref(), text, "{part} of {whole}");
        }
    }
}
