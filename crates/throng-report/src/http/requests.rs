//! Each request as a line for gnuplot, as ab's `-g`.

use crate::file;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;
use throng_core::stats::Sample;

/// Requests, gathered during a run and written at its end, the fastest first.
#[derive(Debug)]
pub struct Requests {
    path: PathBuf,
    /// When the run began, in seconds since 1970.
    began: Duration,
    all: Vec<One>,
}

/// A request, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct One {
    took_us: u32,
    sent_us: u64,
    waited_us: u32,
}

impl Requests {
    /// No requests yet; they will be written to `path`.
    ///
    /// # Errors
    /// The file can't be written, with its path.
    pub fn to(path: PathBuf, began: Duration) -> io::Result<Requests> {
        file::can_write(&path)?;
        Ok(Requests {
            path,
            began,
            all: Vec::new(),
        })
    }

    /// Adds the requests of `samples`.
    pub fn add(&mut self, samples: &[Sample]) {
        let us = |took: Duration| u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.all.extend(samples.iter().map(|sample| One {
            took_us: us(sample.took),
            sent_us: sample.sent.0 / 1000,
            waited_us: us(sample.first),
        }));
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The file system's error, with the path.
    pub fn finish(mut self) -> io::Result<()> {
        self.all.sort_unstable();
        let mut text = b"starttime\tseconds\tctime\tdtime\tttime\twait\n".to_vec();
        for one in &self.all {
            let sent = self.began + Duration::from_micros(one.sent_us);
            // Times of single connections are not known; ab has 0 for those that are kept.
            let ttime = ms(one.took_us);
            writeln!(
                text,
                "{}\t{}\t0\t{ttime}\t{ttime}\t{}",
                date(sent.as_secs()),
                sent.as_secs(),
                ms(one.waited_us)
            )?;
        }
        file::write_whole(&self.path, &text)
    }
}

/// The date and time in UTC, as asctime(3) writes it, this many seconds after 1970.
fn date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (days, in_day) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [
        31,
        28 + u64::from(leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    format!(
        "{} {} {:2} {:02}:{:02}:{:02} {year}",
        DAYS[(days % 7) as usize],
        MONTHS[month],
        day + 1,
        in_day / 3600,
        in_day / 60 % 60,
        in_day % 60
    )
}

/// Whole milliseconds, rounded as ab does.
fn ms(us: u32) -> u32 {
    us.saturating_add(500) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use throng_core::time::Time;

    #[test]
    fn requests_are_written_the_fastest_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("requests.tsv");
        let began = Duration::from_secs(1_760_000_000);
        let mut requests = Requests::to(path.clone(), began).unwrap();
        let one = |sent_ms: u64, took_ms, first_ms| Sample {
            sent: Time(sent_ms * 1_000_000),
            took: Duration::from_millis(took_ms),
            first: Duration::from_millis(first_ms),
            ..Sample::default()
        };
        requests.add(&[one(500, 20, 15)]);
        requests.add(&[one(1250, 7, 7)]);
        requests.finish().unwrap();
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "starttime\tseconds\tctime\tdtime\tttime\twait\n\
             Thu Oct  9 08:53:21 2025\t1760000001\t0\t7\t7\t7\n\
             Thu Oct  9 08:53:20 2025\t1760000000\t0\t20\t20\t15\n"
        );
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "Thu Jan  1 00:00:00 1970"),
            (951_782_399, "Mon Feb 28 23:59:59 2000"),
            (951_782_400, "Tue Feb 29 00:00:00 2000"),
            (4_107_542_400, "Mon Mar  1 00:00:00 2100"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }
}
