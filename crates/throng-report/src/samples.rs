//! The send time and round trip of each message or query, as CSV (`--samples FILE`).

use crate::log::Log;
use std::io::{self, Write};
use std::path::Path;
use throng_core::stats::Sample;

/// The names of the columns, which docs/logs.md describes.
const HEAD: &str = "sent_s,rtt_us,connection,query,rcode,truncated,ping\n";

/// A file of samples. A write error is reported once, and the run goes on without the file.
#[derive(Debug)]
pub struct SampleLog(Log);

impl SampleLog {
    /// A file that takes the name `path` when it is [finished](SampleLog::finish).
    ///
    /// # Errors
    /// The file system's error, with the path.
    pub fn create(path: &Path) -> io::Result<SampleLog> {
        Log::create(path, HEAD).map(SampleLog)
    }

    /// Adds a line for each of `samples`.
    ///
    /// # Errors
    /// The file system's error, with the path; the first time only.
    pub fn write(&mut self, samples: &[Sample]) -> io::Result<()> {
        // In pieces, so that what is gathered stays small.
        samples.chunks(1024).try_for_each(|some| {
            self.0
                .add(|lines| some.iter().for_each(|sample| line(sample, lines)))
        })
    }

    /// Writes the rest, and gives the file its name.
    ///
    /// # Errors
    /// The file system's error, with the path, unless one was reported before.
    pub fn finish(self) -> io::Result<()> {
        self.0.finish()
    }
}

fn line(sample: &Sample, lines: &mut Vec<u8>) {
    let (sent, took) = (sample.sent.0, sample.took.as_nanos());
    // Writing to a vector never fails.
    let _ = writeln!(
        lines,
        "{}.{:09},{}.{:03},{},{},{},{},{}",
        sent / 1_000_000_000,
        sent % 1_000_000_000,
        took / 1000,
        took % 1000,
        sample.connection,
        sample.id,
        sample.code,
        u8::from(sample.truncated),
        u8::from(sample.ping),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;
    use throng_core::time::Time;

    #[test]
    fn samples_are_lines_of_csv_to_the_nanosecond() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("samples.csv");
        let mut log = SampleLog::create(&path).unwrap();
        let first = Sample {
            sent: Time(1_000_000_007),
            took: Duration::from_nanos(1_234_056),
            first: Duration::ZERO,
            connection: 999_999,
            id: 65_535,
            code: 3,
            truncated: false,
            ping: false,
        };
        let last = Sample {
            sent: Time(u64::MAX),
            took: Duration::MAX,
            truncated: true,
            ping: true,
            code: 0,
            ..first
        };
        log.write(&[]).unwrap();
        log.write(&[first, last]).unwrap();
        log.finish().unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "sent_s,rtt_us,connection,query,rcode,truncated,ping\n\
             1.000000007,1234.056,999999,65535,3,0,0\n\
             18446744073.709551615,18446744073709551615999999.999,999999,65535,0,1,1\n"
        );
    }

    #[test]
    fn many_samples_are_all_there_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("samples.csv");
        let mut log = SampleLog::create(&path).unwrap();
        let samples: Vec<Sample> = (0..10_000)
            .map(|n| Sample {
                sent: Time(n * 1000),
                took: Duration::from_micros(n),
                first: Duration::ZERO,
                connection: n as u32,
                id: n as u16,
                code: 0,
                truncated: false,
                ping: false,
            })
            .collect();
        log.write(&samples[..3000]).unwrap();
        log.write(&samples[3000..]).unwrap();
        log.finish().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let connections: Vec<usize> = text
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(2).unwrap().parse().unwrap())
            .collect();
        assert_eq!(connections, (0..10_000).collect::<Vec<_>>());
    }
}
