//! The units of axes: numbers as all reports write them, and round values for ticks.

use crate::human;
use throng_core::expect;

/// What the numbers of an axis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// Any other number.
    Number,
    /// Events per second.
    PerSecond,
    /// Bytes per second.
    BytesPerSecond,
    /// Seconds.
    Seconds,
    /// Microseconds.
    Micros,
    /// One in so many values is above: 100 is the 99th percentile.
    OneIn,
}

impl Unit {
    /// `value` as the text output has it.
    pub fn value(self, value: f64) -> String {
        match self {
            Unit::Count if value >= 0.0 && value.fract() == 0.0 => human::count(value as u64),
            Unit::Count | Unit::Number => human::short(value),
            Unit::Bytes => human::bytes(value.max(0.0) as u64),
            Unit::PerSecond => human::rate(value),
            Unit::BytesPerSecond => human::throughput(value),
            Unit::Seconds => human::seconds(value),
            Unit::Micros => human::micros(value),
            Unit::OneIn => percentile(value),
        }
    }

    /// A round `value`, without zeros after the point.
    pub fn tick(self, value: f64) -> String {
        let text = match self {
            Unit::Count => human::short(value),
            Unit::PerSecond => human::short(value),
            Unit::Micros | Unit::Seconds if value == 0.0 => return "0".into(),
            _ => self.value(value),
        };
        // Whole minutes, hours and days.
        let whole = [" 00s", " 00m", " 00h"].iter();
        let text = whole.fold(text.as_str(), |text, none| {
            text.strip_suffix(none).unwrap_or(text)
        });
        without_zeros(text)
    }

    /// Steps between ticks: these, times powers of the base.
    pub(super) fn steps(self) -> Steps {
        match self {
            Unit::Bytes | Unit::BytesPerSecond => Steps::Binary,
            Unit::Seconds => Steps::Clock,
            _ => Steps::Decimal,
        }
    }
}

impl From<expect::Unit> for Unit {
    fn from(of: expect::Unit) -> Unit {
        match of {
            expect::Unit::Count | expect::Unit::CountOf(_) => Unit::Count,
            expect::Unit::Time => Unit::Micros,
            expect::Unit::Rate => Unit::PerSecond,
            expect::Unit::Throughput => Unit::BytesPerSecond,
            expect::Unit::Bytes => Unit::Bytes,
        }
    }
}

/// Which numbers are round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Steps {
    /// 1, 2 and 5 times powers of ten.
    Decimal,
    /// Powers of two.
    Binary,
    /// As decimal ones below a minute; then parts of minutes, hours and days.
    Clock,
}

/// Round spans of time above 10 seconds.
const SPANS: [f64; 16] = [
    15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0,
    43_200.0, 86_400.0, 172_800.0, 604_800.0,
];

impl Steps {
    /// The least round step that is not below `least`, which is above 0.
    pub(super) fn at_least(self, least: f64) -> f64 {
        match self {
            Steps::Binary if least > 1.0 => 2f64.powf((least.log2() - 1e-9).ceil()),
            Steps::Clock if least > 10.0 => {
                let span = SPANS.into_iter().find(|span| *span >= least * (1.0 - 1e-9));
                span.unwrap_or_else(|| 604_800.0 * (least / 604_800.0).ceil())
            }
            _ => {
                let decade = 10f64.powf(least.log10().floor());
                let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
                let round = steps.into_iter().find(|step| *step >= least * (1.0 - 1e-9));
                round.unwrap_or(10.0 * decade)
            }
        }
    }
}

/// The percentile above which one in `n` values is: `99.9 %`.
fn percentile(n: f64) -> String {
    let tail = 100.0 / n;
    // As many digits as tell it from the next one.
    let digits = (1.0 - tail.log10().floor()).max(0.0) as usize;
    let text = format!("{:.digits$}", 100.0 - tail);
    format!("{} %", trimmed(&text))
}

/// `12.0 s` as `12 s`, `1.50k` as `1.5k`.
fn without_zeros(text: &str) -> String {
    let ends = |c: char| !c.is_ascii_digit() && c != '.';
    let number = text.find(ends).unwrap_or(text.len());
    let (number, unit) = text.split_at(number);
    format!("{}{unit}", trimmed(number))
}

fn trimmed(number: &str) -> &str {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_have_no_zeros_after_the_point() {
        for (unit, value, text) in [
            (Unit::Count, 0.0, "0"),
            (Unit::Count, 1e4, "10k"),
            (Unit::Count, 12_500.0, "12.5k"),
            (Unit::PerSecond, 2e6, "2M"),
            (Unit::BytesPerSecond, 1024.0 * 512.0, "512 KiB/s"),
            (Unit::Seconds, 0.0, "0"),
            (Unit::Seconds, 0.2, "200 ms"),
            (Unit::Seconds, 5.0, "5 s"),
            (Unit::Seconds, 90.0, "1m 30s"),
            (Unit::Seconds, 120.0, "2m"),
            (Unit::Seconds, 3600.0, "1h"),
            (Unit::Micros, 0.0, "0"),
            (Unit::Micros, 1500.0, "1.5 ms"),
            (Unit::OneIn, 1.0, "0 %"),
            (Unit::OneIn, 10.0, "90 %"),
            (Unit::OneIn, 1000.0, "99.9 %"),
            (Unit::OneIn, 1e6, "99.9999 %"),
        ] {
            assert_eq!(unit.tick(value), text, "{unit:?} {value}");
        }
    }

    #[test]
    fn values_are_written_as_in_the_text_output() {
        for (unit, value, text) in [
            (Unit::Count, 12_345.0, "12,345"),
            (Unit::Number, 2.5, "2.5"),
            (Unit::PerSecond, 36_180.0, "36.2k/s"),
            (Unit::BytesPerSecond, 960_000.0, "938 KiB/s"),
            (Unit::Micros, 1240.0, "1.24 ms"),
            (Unit::OneIn, 200.0, "99.5 %"),
            (Unit::OneIn, 1.0 / 0.0065, "99.35 %"),
        ] {
            assert_eq!(unit.value(value), text, "{unit:?} {value}");
        }
    }

    #[test]
    fn steps_are_round() {
        for (steps, least, round) in [
            (Steps::Decimal, 0.03, 0.05),
            (Steps::Decimal, 7.0, 10.0),
            (Steps::Decimal, 20.0, 20.0),
            (Steps::Binary, 1000.0, 1024.0),
            (Steps::Binary, 1024.0, 1024.0),
            (Steps::Binary, 0.3, 0.5),
            (Steps::Clock, 0.3, 0.5),
            (Steps::Clock, 7.0, 10.0),
            (Steps::Clock, 12.0, 15.0),
            (Steps::Clock, 40.0, 60.0),
            (Steps::Clock, 1e6, 1_209_600.0),
        ] {
            assert!(
                (steps.at_least(least) - round).abs() < round * 1e-9,
                "{steps:?} {least}: {}",
                steps.at_least(least)
            );
        }
    }
}
