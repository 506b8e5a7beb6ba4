//! What a watched system's readings say, in a sentence.

use super::{Binds, WatchedSummary};
use crate::human::{bytes, count, percent, seconds};

/// `process 4711 (nginx): 18.2 KiB per connection, 74 % of it user memory; …`.
pub(super) fn sentence(told: &WatchedSummary) -> String {
    let mut text = match &told.agent {
        Some(agent) => format!("{agent}: {}", told.name),
        None => told.name.clone(),
    };
    match (&told.ended, told.ended_at_s) {
        (Some(how), Some(at)) => text += &format!(" {how} after {}; ", seconds(at)),
        _ => text += ": ",
    }
    let (Some(each), Some(rss)) = (told.bytes_per_connection, told.rss_bytes_per_connection) else {
        let why = told.why_not.as_deref().unwrap_or("there are no readings");
        return text + &format!("memory per connection is not known: {why}");
    };
    // Of a noisy process the slope of one part may be below zero.
    let user = percent(rss.clamp(0.0, each).round(), each.round().max(1.0));
    text += &format!(
        "{} per connection, {} of it user memory",
        bytes(each.round() as u64),
        user.map_or_else(|| "0 %".into(), |share| whole(&share)),
    );
    match (told.binds_first(), told.memory_binds_at) {
        (Some(Binds::Memory(at)), _) => {
            text += &format!("; memory binds at {}", about(at));
        }
        (Some(Binds::Descriptors(at)), Some(memory)) => {
            text += &format!(
                "; descriptors bind at {}, memory at {}",
                about(at),
                about(memory)
            );
        }
        (Some(Binds::Descriptors(at)), None) => {
            text += &format!("; descriptors bind at {}", about(at));
        }
        (None, _) => return text,
    }
    text + " (estimated)"
}

/// A share without its fraction.
fn whole(share: &str) -> String {
    match share.split_once('.') {
        Some((whole, _)) if !share.starts_with('<') => format!("{whole} %"),
        _ => share.to_owned(),
    }
}

/// An estimate, as the command line writes numbers: `1.2m`, `20k`, `870`. Two significant digits are what it is worth.
fn about(n: u64) -> String {
    let digits = n.checked_ilog10().unwrap_or(0);
    let step = 10_u64.pow(digits.saturating_sub(1));
    let n = n / step * step;
    match n {
        1_000_000.. => tenths(n, 1_000_000) + "m",
        10_000.. => tenths(n, 1000) + "k",
        _ => count(n),
    }
}

fn tenths(n: u64, unit: u64) -> String {
    match n % unit / (unit / 10) {
        0 => count(n / unit),
        tenth => format!("{}.{tenth}", count(n / unit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(each: f64, rss: f64, memory: Option<u64>, descriptors: Option<u64>) -> String {
        sentence(&WatchedSummary {
            name: "nginx.service".into(),
            bytes_per_connection: Some(each),
            rss_bytes_per_connection: Some(rss),
            memory_binds_at: memory,
            descriptors_bind_at: descriptors,
            ..WatchedSummary::default()
        })
    }

    #[test]
    fn the_sentence_names_the_cost_and_what_binds_first() {
        for (text, expected) in [
            (
                told(18_637.0, 13_800.0, Some(1_234_567), None),
                "nginx.service: 18.2 KiB per connection, 74 % of it user memory; memory binds at 1.2m (estimated)",
            ),
            (
                told(4096.0, 0.0, Some(4_000_000), Some(20_480)),
                "nginx.service: 4.00 KiB per connection, 0 % of it user memory; descriptors bind at 20k, memory at 4m (estimated)",
            ),
            (
                told(4096.0, -3.0, None, Some(980)),
                "nginx.service: 4.00 KiB per connection, 0 % of it user memory; descriptors bind at 980 (estimated)",
            ),
            (
                told(4096.0, 5000.0, None, None),
                "nginx.service: 4.00 KiB per connection, 100 % of it user memory",
            ),
        ] {
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn estimates_have_two_digits() {
        for (n, text) in [
            (0, "0"),
            (7, "7"),
            (987, "980"),
            (9_999, "9,900"),
            (19_999, "19k"),
            (123_456, "120k"),
            (1_999_999, "1.9m"),
            (12_345_678, "12m"),
            (u64::MAX, "18,000,000,000,000m"),
        ] {
            assert_eq!(about(n), text, "{n}");
        }
    }
}
